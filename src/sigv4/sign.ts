// Stages 2 and 3 of AWS Signature Version 4, the string to sign and the signature, with a small signer for clients, examples
// and tests. It signs every header it is given. It sends nothing, and reads no clock, file or environment.
import { createHmac } from "node:crypto";
import { canonicalRequest, foldHeaders, sha256Hex, wireBytes } from "./canonical.ts";

export const ALGORITHM = "AWS4-HMAC-SHA256";
export const TERMINATOR = "aws4_request";

/** A key pair. A temporary one has a session token and the time at which it expires. */
export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiresAt?: Date;
}

/** The scope of a signature; `date` is `YYYYMMDD`. */
export interface Scope {
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

export interface SignOptions {
  readonly credential: Credential;
  readonly region: string;
  readonly service: string;
  readonly now: Date;
  /** false: S3 style, see `CanonicalOptions`. */
  readonly normalizePath?: boolean;
}

export interface RequestToSign {
  readonly method: string;
  /** An absolute URL; its host is the one that is signed. */
  readonly url: string | URL;
  /** All of them are signed; Authorization must not be among them. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** ISO 8601 basic format, `YYYYMMDDTHHMMSSZ`; fractions of a second are cut off. */
export function formatTimestamp(time: Date): string {
  return time.toISOString().replace(/[-:]|\.\d+/g, "");
}

/** Stage 2: algorithm, time, scope and the hash of the canonical request. */
export function stringToSign(timestamp: string, scope: Scope, canonical: string): string {
  const { date, region, service } = scope;
  return [
    ALGORITHM,
    timestamp,
    `${date}/${region}/${service}/${TERMINATOR}`,
    sha256Hex(wireBytes(canonical)),
  ].join("\n");
}

/** Stage 3: the signature in lower-case hex, under a key derived from the secret for this scope alone. */
export function signature(secretAccessKey: string, scope: Scope, text: string): string {
  let key: string | Buffer = `AWS4${secretAccessKey}`;
  for (const part of [scope.date, scope.region, scope.service, TERMINATOR]) {
    key = createHmac("sha256", key).update(part).digest();
  }
  return createHmac("sha256", key).update(text).digest("hex");
}

/** The headers to send: those given, lower-cased, with `host`, `x-amz-date`, the token if any, and `authorization`. */
export function signRequest(request: RequestToSign, options: SignOptions): Record<string, string> {
  const { credential, region, service } = options;
  const url = new URL(request.url);
  const timestamp = formatTimestamp(options.now);
  const given = Object.entries(request.headers ?? {}).flat();
  const headers = Object.fromEntries(foldHeaders(given));
  headers.host ??= url.host;
  headers["x-amz-date"] = timestamp;
  if (credential.sessionToken !== undefined) headers["x-amz-security-token"] = credential.sessionToken;

  const signedHeaders = Object.keys(headers).sort();
  const body = Buffer.from(request.body ?? "");
  const canonical = canonicalRequest(
    {
      method: request.method,
      rawUrl: url.pathname + url.search,
      rawHeaders: Object.entries(headers).flat(),
    },
    { signedHeaders, payloadHash: sha256Hex(body), normalizePath: options.normalizePath ?? true },
  );
  const scope = { date: timestamp.slice(0, 8), region, service };
  const hex = signature(credential.secretAccessKey, scope, stringToSign(timestamp, scope, canonical));
  headers.authorization =
    `${ALGORITHM} Credential=${credential.accessKeyId}/${scope.date}/${region}/${service}/${TERMINATOR}, ` +
    `SignedHeaders=${signedHeaders.join(";")}, Signature=${hex}`;
  return headers;
}
