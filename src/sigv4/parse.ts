// Parses the Authorization header: scheme, Credential, SignedHeaders, Signature, and the time that belongs to them. The error
// texts and their order are those of AWS's own services. Nothing here knows a key or computes a hash.
import { foldHeaders, queryParameters, type RequestHead, splitTarget } from "./canonical.ts";
import { ALGORITHM } from "./sign.ts";

export type SigV4ErrorType =
  | "MissingAuthenticationTokenException"
  | "IncompleteSignatureException"
  | "InvalidSignatureException"
  | "UnrecognizedClientException"
  | "ExpiredTokenException";

/** Why a request was refused: AWS's error name for JSON services, HTTP status and text. */
export interface SigV4Error {
  readonly type: SigV4ErrorType;
  readonly status: 403;
  readonly message: string;
}

/** The most that is accepted before anything is sorted or hashed. */
export interface Limits {
  /** Length of the Authorization header. Default 4096. */
  readonly maxAuthorizationLength?: number;
  /** Names in SignedHeaders. Default 64. */
  readonly maxSignedHeaders?: number;
  /** Pairs in the query. Default 64. */
  readonly maxQueryParameters?: number;
}

/** A well-formed signature; nothing in it has been verified. */
export interface Authorization {
  /** keyid/date/region/service/term, not yet split. */
  readonly credential: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** X-Amz-Date, or else Date, as received. */
  readonly timestamp: string;
}

export function refuse(type: SigV4ErrorType, message: string): SigV4Error {
  return { type, status: 403, message };
}

/** A token of RFC 9110, section 5.6.2, in lower case. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

const incomplete = (message: string) => refuse("IncompleteSignatureException", message);
const invalid = (message: string) => refuse("InvalidSignatureException", message);

/** Finds and reads the one signature of a request. */
export function parseAuthorization(request: RequestHead, limits: Limits = {}): Authorization | SigV4Error {
  const { maxAuthorizationLength = 4096, maxSignedHeaders = 64, maxQueryParameters = 64 } = limits;
  const { query } = splitTarget(request.rawUrl);
  const numParameters = query === "" ? 0 : query.split("&", maxQueryParameters + 1).length;
  if (numParameters > maxQueryParameters) {
    return incomplete(`The query must have at most ${maxQueryParameters} parameters.`);
  }
  const presigned = queryParameters(query).some(([name]) => name.toLowerCase() === "x-amz-algorithm");
  const values = request.rawHeaders.filter(
    (_, i) => i % 2 === 1 && request.rawHeaders[i - 1]?.toLowerCase() === "authorization",
  );
  const value = values[0];
  if (value === undefined) {
    return presigned
      ? incomplete("Presigned requests are not supported. Sign the request with an Authorization header.")
      : refuse("MissingAuthenticationTokenException", "Missing Authentication Token");
  }
  if (presigned) {
    return invalid(
      "The request carries both an Authorization header and 'X-Amz-Algorithm' in its query. Send only the header.",
    );
  }
  if (values.length > 1) {
    return incomplete(`The request carries ${values.length} Authorization headers. Send exactly one.`);
  }
  if (value.length > maxAuthorizationLength) {
    return incomplete(
      `The Authorization header must have at most ${maxAuthorizationLength} characters, not ${value.length}.`,
    );
  }
  const parameters = parseParameters(value.trim());
  if ("type" in parameters) return parameters;
  return assemble(parameters, request.rawHeaders, maxSignedHeaders);
}

/** The `name=value` parameters after the scheme. */
function parseParameters(header: string): Map<string, string> | SigV4Error {
  const [, scheme = "", list = ""] = /^(\S*)\s*(.*)$/s.exec(header) ?? [];
  if (scheme !== ALGORITHM) return incomplete(`Unsupported AWS 'algorithm': '${scheme}'.`);
  const parameters = new Map<string, string>();
  for (const part of list.split(",").map((text) => text.trim())) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    if (equals < 0) {
      return incomplete(
        `'${part}' not a valid key=value pair (missing equal-sign) in Authorization header: '${header}'`,
      );
    }
    const name = part.slice(0, equals);
    if (parameters.has(name)) return incomplete(`Authorization header repeats the '${name}' parameter.`);
    parameters.set(name, part.slice(equals + 1));
  }
  return parameters;
}

/** Checks that all parts are there, and that SignedHeaders has its canonical form and names the host. */
function assemble(
  parameters: ReadonlyMap<string, string>,
  rawHeaders: readonly string[],
  maxSignedHeaders: number,
): Authorization | SigV4Error {
  const credential = parameters.get("Credential") ?? "";
  const signature = parameters.get("Signature") ?? "";
  const list = parameters.get("SignedHeaders") ?? "";
  const headers = foldHeaders(rawHeaders);
  const timestamp = headers.get("x-amz-date") ?? headers.get("date") ?? "";
  const missing = Object.entries({ Credential: credential, Signature: signature, SignedHeaders: list })
    .filter(([, value]) => value === "")
    .map(([name]) => `Authorization header requires '${name}' parameter.`);
  if (timestamp === "") {
    missing.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  }
  if (missing.length > 0) return incomplete(missing.join(" "));

  const signedHeaders = list.split(";");
  if (signedHeaders.length > maxSignedHeaders) {
    return incomplete(
      `SignedHeaders must name at most ${maxSignedHeaders} headers, not ${signedHeaders.length}.`,
    );
  }
  const canonical = signedHeaders.every(
    (name, i) => HEADER_NAME.test(name) && (i === 0 || (signedHeaders[i - 1] as string) < name),
  );
  if (!canonical) {
    return invalid(
      `SignedHeaders must be header names in lower case, sorted, without repeats, not '${list}'.`,
    );
  }
  if (!signedHeaders.includes("host")) {
    return invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  return { credential, signedHeaders, signature, timestamp };
}
