// The envelope of a payload in InvokeEndpoint: the endpoint's name and the API's request headers. They are checked against
// the API's limits and against what this server supports. The payload itself is read in `request/params.ts`.
import type { IncomingHttpHeaders } from "node:http";
import Negotiator from "negotiator";
import { ENDPOINT_NAME, ENDPOINT_NAME_MAX } from "../../settings.ts";
import { quote } from "../../wording.ts";
import { AwsError } from "../http/http-errors.ts";

export const ACCOUNT = "000000000000";
export const VARIANT = "AllTraffic";

/** @throws AwsError ValidationError unless the name has the form of an endpoint's name. */
export function checkEndpointName(name: string): void {
  if (name.length <= ENDPOINT_NAME_MAX && ENDPOINT_NAME.test(name)) return;
  throw invalid(
    `The endpoint name must be letters, digits and inner hyphens, at most ${ENDPOINT_NAME_MAX} characters, got ${quote(name)}`,
  );
}

/** The longest value of each request header, as in the API's model. */
export const HEADER_LIMITS = {
  "content-type": 1024,
  accept: 1024,
  "x-amzn-sagemaker-accept": 1024,
  "x-amzn-sagemaker-custom-attributes": 1024,
  "x-amzn-sagemaker-target-model": 1024,
  "x-amzn-sagemaker-target-variant": 63,
  "x-amzn-sagemaker-target-container-hostname": 63,
  "x-amzn-sagemaker-inference-id": 64,
  "x-amzn-sagemaker-enable-explanations": 64,
  "x-amzn-sagemaker-inference-component": 63,
  "x-amzn-sagemaker-session-id": 256,
  "x-amzn-sagemaker-prefix-aware-id": 1024,
} as const;

/** Content types of answers: a list of all texts, or pieces of them while they are generated. */
export const RESPONSE_TYPES = ["application/json", "application/jsonlines"] as const;
export type ResponseType = (typeof RESPONSE_TYPES)[number];

export interface Envelope {
  /** The content type that the answer will have. */
  readonly accept: ResponseType;
  /** A text of the caller, which is returned unchanged. */
  readonly customAttributes?: string;
  /** The caller's id for this request, for the log. */
  readonly inferenceId?: string;
}

export interface EnvelopeOptions {
  readonly endpoint: string;
  /** The header with which a caller asks for a content type. */
  readonly acceptHeader: "accept" | "x-amzn-sagemaker-accept";
  /** The content types of answers, the default first. */
  readonly types: readonly ResponseType[];
}

/** @throws AwsError ValidationError or UnsupportedMediaTypeException, which names the header. */
export function parseEnvelope(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  options: EnvelopeOptions,
): Envelope {
  checkLimits(rawHeaders);
  refuseFeaturesNotHad(headers, options.endpoint);
  refuseEncoded(headers);
  const customAttributes = text(headers, "x-amzn-sagemaker-custom-attributes");
  const inferenceId = text(headers, "x-amzn-sagemaker-inference-id");
  return {
    accept: negotiate(text(headers, options.acceptHeader), options),
    ...(customAttributes === undefined ? {} : { customAttributes }),
    ...(inferenceId === undefined ? {} : { inferenceId }),
  };
}

function text(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : value?.join(", ");
}

/** Checks the raw headers, because Node drops repeated lines of some names from the parsed ones. */
function checkLimits(rawHeaders: readonly string[]): void {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const value = rawHeaders[i + 1] as string;
    const limit = HEADER_LIMITS[name as keyof typeof HEADER_LIMITS];
    if (limit === undefined) continue;
    if (value.length > limit) {
      throw invalid(`The header ${name} must have at most ${limit} characters, got ${value.length}`);
    }
    if (!/^[\t\x20-\x7e]*$/.test(value)) throw invalid(`The header ${name} must be printable ASCII`);
  }
}

/** Refuses features of SageMaker that need more than one plain model behind an endpoint. */
function refuseFeaturesNotHad(headers: IncomingHttpHeaders, endpoint: string): void {
  const refused: Record<string, string> = {
    "target-model": `Endpoint ${endpoint} is not a multi-model endpoint and does not support target model header.`,
    "target-container-hostname": `Endpoint ${endpoint} is not a multi-container endpoint and does not support target container hostname header.`,
    "inference-component": `Endpoint ${endpoint} has no inference components; leave the inference component name out.`,
    "session-id": `Endpoint ${endpoint} keeps no sessions; leave the session id out.`,
    "enable-explanations": `Endpoint ${endpoint} has no explainer; leave the header that enables explanations out.`,
  };
  for (const [name, message] of Object.entries(refused)) {
    if (headers[`x-amzn-sagemaker-${name}`] !== undefined) throw invalid(message);
  }
  const variant = text(headers, "x-amzn-sagemaker-target-variant");
  if (variant !== undefined && variant !== VARIANT) {
    throw invalid(`Endpoint ${endpoint} has no variant ${quote(variant)}; its only one is ${VARIANT}.`);
  }
}

/** @throws AwsError UnsupportedMediaTypeException unless the body comes as it is */
export function refuseEncoded(headers: IncomingHttpHeaders): void {
  const encoding = text(headers, "content-encoding");
  if (encoding === undefined || encoding === "identity") return;
  throw new AwsError(
    "UnsupportedMediaTypeException",
    `Content-Encoding ${quote(encoding)} is not supported; send the body uncompressed`,
  );
}

/**
 * The content type that the caller prefers, by quality and specificity (RFC 9110, 12.5.1). SageMaker passes Accept on to the
 * model, and most callers leave what their library put there. So a header that names only unsupported types gets the default,
 * as if it were absent. A caller is refused only if it excludes every supported type with a quality of 0.
 */
export function negotiate(
  accept: string | undefined,
  { types, acceptHeader }: Pick<EnvelopeOptions, "types" | "acceptHeader">,
): ResponseType {
  if (accept === undefined || accept.trim() === "") return types[0] as ResponseType;
  // A type that is not excluded is acceptable, if nothing better is supported.
  const header = accept.includes("*/*") ? accept : `*/*;q=0.001, ${accept}`;
  const offered = types.flatMap((type) => [type, `${type}; charset=utf-8`]);
  const [best] = new Negotiator({ headers: { accept: header } }).mediaTypes(offered);
  if (best !== undefined) return best.split(";", 1)[0] as ResponseType;
  throw invalid(
    `${acceptHeader === "accept" ? "Accept" : "X-Amzn-SageMaker-Accept"} must allow ${types.join(" or ")}, got ${quote(accept)}`,
  );
}

/** The header that returns the caller's own text. */
export function attributesHeader({ customAttributes }: Envelope): Record<string, string> {
  return customAttributes === undefined ? {} : { "x-amzn-sagemaker-custom-attributes": customAttributes };
}

function invalid(message: string): AwsError {
  return new AwsError("ValidationError", message);
}
