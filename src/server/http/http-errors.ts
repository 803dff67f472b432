// Errors in the form of SageMaker Runtime: HTTP status, AWS name, JSON body. Only here the codes of `src/errors.ts` become
// HTTP. A payload that the model refuses becomes a ModelError (424), which has the status of the container as a member. An
// error of the envelope has a name and a status of its own.
import { answerFor, type ErrorCode, GptError, type PublicErrorCode } from "../../errors.ts";
import { STATUS_CODES } from "./node-http.ts";

/** HTTP status by error name. Errors of signatures are not here; they bring their own status. */
export const STATUS = {
  ValidationError: 400,
  MalformedHttpRequestException: 400,
  AccessDeniedException: 403,
  UnknownOperationException: 404,
  MethodNotAllowedException: 405,
  RequestTimeoutException: 408,
  RequestEntityTooLargeException: 413,
  UnsupportedMediaTypeException: 415,
  ModelError: 424,
  ModelNotReadyException: 429,
  ThrottlingException: 429,
  RequestHeaderFieldsTooLargeException: 431,
  InternalFailure: 500,
  NotImplemented: 501,
  ServiceUnavailable: 503,
  HttpVersionNotSupportedException: 505,
} as const;

export type AwsErrorType = keyof typeof STATUS;

/** AWS spells the member `Message` in errors of the service's own model, and `message` in errors common to all services. */
const MODELLED: ReadonlySet<string> = new Set<AwsErrorType>([
  "ValidationError",
  "ModelError",
  "ModelNotReadyException",
  "InternalFailure",
  "ServiceUnavailable",
]);

interface Treatment {
  readonly type: AwsErrorType;
  /** For ModelError: the status that a container would have answered; 0 if there was no answer in time. */
  readonly originalStatusCode?: number;
  readonly retryAfterSeconds?: number;
}

const REFUSED = { type: "ModelError", originalStatusCode: 400 } as const;
const INTERNAL: Treatment = { type: "InternalFailure" };

const TREATMENTS: Readonly<Record<PublicErrorCode, Treatment>> = {
  invalid_json: REFUSED,
  invalid_body: REFUSED,
  unknown_field: REFUSED,
  invalid_field: REFUSED,
  prompt_too_long: REFUSED,
  request_too_large: REFUSED,
  queue_full: { type: "ServiceUnavailable", retryAfterSeconds: 1 },
  timed_out: { type: "ModelError", originalStatusCode: 0 },
  cancelled: { type: "ServiceUnavailable", retryAfterSeconds: 1 },
};

/** The answer for an error code. */
export function treatmentOf(code: ErrorCode): Treatment {
  return answerFor(code, TREATMENTS, INTERNAL);
}

interface Details {
  /** Additional members of the body. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** The body of another dialect, instead of AWS's. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error as it is sent to the caller. */
export class AwsError extends Error {
  override readonly name = "AwsError";
  readonly status: number;
  readonly type: string;
  readonly details: Details;

  /** `type` is the bare name. A name that is not in the table needs a `status`. */
  constructor(type: AwsErrorType | { type: string; status: number }, message: string, details: Details = {}) {
    super(message);
    this.type = typeof type === "string" ? type : type.type;
    this.status = typeof type === "string" ? STATUS[type] : type.status;
    this.details = details;
  }
}

/** In SageMaker's words. */
export function bodyTooLarge({ bodyBytesMax }: { readonly bodyBytesMax: number }): AwsError {
  return new AwsError(
    "RequestEntityTooLargeException",
    `HTTP content length exceeded ${bodyBytesMax} bytes.`,
  );
}

/** Where an error happened. A ModelError says it. */
export interface ErrorContext {
  readonly requestId: string;
  readonly region: string;
  readonly endpoint: string;
}

/** Turns anything that was thrown into an answer. An internal error tells the caller only the request id. */
export function toAwsError(error: unknown, context: ErrorContext): AwsError {
  if (error instanceof AwsError) return error;
  if (error instanceof GptError) {
    const { type, originalStatusCode, retryAfterSeconds } = treatmentOf(error.code);
    if (originalStatusCode !== undefined) return modelError(error, originalStatusCode, context);
    const headers = retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) };
    if (type !== "InternalFailure") return new AwsError(type, error.message, { headers });
  }
  return new AwsError(
    "InternalFailure",
    `The server failed; its log has the cause under request id ${context.requestId}`,
  );
}

/**
 * In SageMaker's words. boto3 shows `Message` only, so that contains the sentence. `OriginalMessage` is the same sentence,
 * and `ErrorCode` is the stable code of `src/errors.ts`.
 */
function modelError(error: GptError, originalStatusCode: number, context: ErrorContext): AwsError {
  const original = originalStatusCode === 0 ? TIMED_OUT : error.message;
  const side = originalStatusCode === 0 ? "server" : "client";
  const message = `Received ${side} error (${originalStatusCode}) from primary with message "${original}".`;
  const region = context.region === "any" ? "local" : context.region;
  return new AwsError("ModelError", message, {
    members: {
      OriginalStatusCode: originalStatusCode,
      OriginalMessage: original,
      LogStreamArn: `arn:aws:logs:${region}:000000000000:log-group:/aws/sagemaker/Endpoints/${context.endpoint}`,
      ErrorCode: error.code,
    },
  });
}

/** The beginning of SageMaker's sentence. The rest of it recommends what does not apply here. */
const TIMED_OUT = "Your invocation timed out while waiting for a response from container primary.";

/** How an error ends a stream that has begun: the type of the exception frame, and its members. */
export function toStreamException(error: unknown, context: ErrorContext) {
  const { type, message } = toAwsError(error, context);
  const isTimeout = error instanceof GptError && error.code === "timed_out";
  const isCancelled = error instanceof GptError && error.code === "cancelled";
  if (isTimeout || isCancelled) {
    const errorCode = isTimeout ? "ModelInvocationTimeExceeded" : "StreamBroken";
    return { type: "ModelStreamError", members: { Message: message, ErrorCode: errorCode } } as const;
  }
  return {
    type: type === "ModelError" ? "ModelStreamError" : "InternalStreamFailure",
    members: { Message: message },
  } as const;
}

/** Turns anything that was thrown into a container's answer: plain 4xx and 5xx, which SageMaker's front wraps. */
export function toContainerError(error: unknown, context: ErrorContext): AwsError {
  const answer = toAwsError(error, context);
  if (!(error instanceof GptError) || answer.type !== "ModelError") return answer;
  const members = { ErrorCode: error.code };
  return error.code === "timed_out"
    ? new AwsError({ type: "ModelInvocationTimeExceeded", status: 504 }, error.message, { members })
    : new AwsError("ValidationError", error.message, { members });
}

/** Status, headers and body of an error. The body is always a JSON object, because clients cannot read anything else. */
export function renderError(error: AwsError, requestId: string) {
  const key = MODELLED.has(error.type) ? "Message" : "message";
  return {
    status: error.status,
    headers: {
      "content-type": "application/json",
      "x-amzn-requestid": requestId,
      "x-amzn-errortype": error.type,
      ...error.details.headers,
    },
    body: JSON.stringify(error.details.body ?? { [key]: error.message, ...error.details.members }),
  };
}

/** The same as bytes of HTTP/1.1, for a connection whose request could not be read. The connection ends with it. */
export function renderRawError(error: AwsError, requestId: string, now: Date): string {
  const { status, headers, body } = renderError(error, requestId);
  const lines = Object.entries({
    ...headers,
    date: now.toUTCString(),
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`;
}
