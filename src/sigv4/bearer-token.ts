// Bearer tokens made from a key pair, as SageMaker offers them to clients that can only send `Authorization: Bearer`. A token is a
// presigned URL in base64. It is a secret until it expires, since it covers neither the body nor the host it is sent to.
// Source: `token_generator` of AWS's sagemaker-core.
import { canonicalRequest, sha256Hex } from "./canonical.ts";
import { refuse, type SigV4Error } from "./parse.ts";
import {
  ALGORITHM,
  type Credential,
  formatTimestamp,
  type Scope,
  signature,
  stringToSign,
  TERMINATOR,
} from "./sign.ts";
import {
  checkScope,
  checkToken,
  equalInConstantTime,
  INVALID_TOKEN,
  parseTimestamp,
  type Refused,
  type VerifyOptions,
} from "./verify.ts";

/** The beginning of every such token. */
export const BEARER_TOKEN_PREFIX = "sagemaker-api-key-";
/** Twelve hours, in seconds. */
export const BEARER_TOKEN_SECONDS_MAX = 43_200;

const HOST = "sagemaker.amazonaws.com";
const BEGINNING = `${HOST}/?`;
const ACTION = "CallWithBearerToken";
const TOKEN_BYTES_MAX = 4096;
const EMPTY_HASH = sha256Hex(new Uint8Array(0));

export interface BearerTokenOptions {
  readonly credential: Credential;
  readonly region: string;
  readonly now: Date;
  /** From 1 to `BEARER_TOKEN_SECONDS_MAX`. */
  readonly expiresSeconds: number;
}

/** Makes a token that is valid from now until it expires, for every endpoint that the key pair may invoke. */
export function makeBearerToken({ credential, region, now, expiresSeconds }: BearerTokenOptions): string {
  const timestamp = formatTimestamp(now);
  const scope: Scope = { date: timestamp.slice(0, 8), region, service: "sagemaker" };
  const session =
    credential.sessionToken === undefined ? {} : { "X-Amz-Security-Token": credential.sessionToken };
  const fields = Object.entries({
    Action: ACTION,
    "X-Amz-Algorithm": ALGORITHM,
    "X-Amz-Credential": `${credential.accessKeyId}/${scope.date}/${region}/${scope.service}/${TERMINATOR}`,
    "X-Amz-Date": timestamp,
    "X-Amz-Expires": String(expiresSeconds),
    ...session,
    "X-Amz-SignedHeaders": "host",
  });
  const query = fields.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  const hex = signature(credential.secretAccessKey, scope, textOf(query, timestamp, scope));
  const url = `${BEGINNING}${query}&X-Amz-Signature=${hex}&Version=1`;
  return BEARER_TOKEN_PREFIX + Buffer.from(url).toString("base64");
}

/** The signed request: a POST without a body, to AWS's host, with these fields. */
function textOf(query: string, timestamp: string, scope: Scope): string {
  const request = { method: "POST", rawUrl: `/?${query}`, rawHeaders: ["host", HOST] };
  return stringToSign(
    timestamp,
    scope,
    canonicalRequest(request, { signedHeaders: ["host"], payloadHash: EMPTY_HASH, normalizePath: true }),
  );
}

/** A valid token, with the key pair that was found for it. */
export interface VerifiedToken<C extends Credential> {
  readonly ok: true;
  readonly credential: C;
}

/** Decides whether a token was made from a known key pair, for this region and service, and is valid now. Never throws. */
export function verifyBearerToken<C extends Credential>(
  token: string,
  options: VerifyOptions<C>,
): VerifiedToken<C> | Refused {
  const claim = claimOf(token);
  if (claim === undefined) return { ok: false, error: INVALID_TOKEN };
  const error = checkTime(claim, options) ?? checkScope(claim, options);
  if (error !== undefined) return { ok: false, error };
  const credential = options.credentials(claim.accessKeyId);
  if (credential === undefined) return { ok: false, error: INVALID_TOKEN };
  const failure = checkToken(credential, claim.sessionToken, options.now);
  if (failure !== undefined) return { ok: false, error: failure };
  const { query, timestamp, scope } = claim;
  const expected = signature(credential.secretAccessKey, scope, textOf(query, timestamp, scope));
  if (!equalInConstantTime(expected, claim.signature)) return { ok: false, error: INVALID_TOKEN };
  return { ok: true, credential };
}

interface TokenClaim {
  readonly accessKeyId: string;
  readonly scope: Scope;
  readonly terminator: string;
  readonly timestamp: string;
  /** Seconds since 1970. */
  readonly begins: number;
  readonly expiresSeconds: number;
  readonly sessionToken: string | undefined;
  readonly signature: string;
  /** As it was signed: without the signature and what stands behind it. */
  readonly query: string;
}

const NEEDED = [
  "Action",
  "Version",
  "X-Amz-Algorithm",
  "X-Amz-Credential",
  "X-Amz-Date",
  "X-Amz-Expires",
  "X-Amz-Signature",
  "X-Amz-SignedHeaders",
];
const UNSIGNED = ["X-Amz-Signature", "Version"];

/** What a token claims; undefined if the text does not have the form of a token. */
function claimOf(token: string): TokenClaim | undefined {
  const text = decoded(token);
  if (text === undefined) return undefined;
  const parts = text.split("&").map((part) => ({ part, name: part.split("=", 1)[0] as string }));
  const fields = new URLSearchParams(text);
  const names = [...fields.keys()];
  const isComplete = NEEDED.every((name) => names.includes(name));
  const known = [...NEEDED, "X-Amz-Security-Token"];
  if (!isComplete || new Set(names).size !== names.length || names.some((name) => !known.includes(name))) {
    return undefined;
  }
  const field = (name: string): string => fields.get(name) ?? "";
  const [accessKeyId = "", date = "", region = "", service = "", terminator = "", surplus] =
    field("X-Amz-Credential").split("/");
  const begins = parseTimestamp(field("X-Amz-Date"));
  const expires = /^\d{1,5}$/.test(field("X-Amz-Expires")) ? Number(field("X-Amz-Expires")) : 0;
  const isRight =
    field("Action") === ACTION &&
    field("Version") === "1" &&
    field("X-Amz-Algorithm") === ALGORITHM &&
    field("X-Amz-SignedHeaders") === "host" &&
    surplus === undefined &&
    expires >= 1 &&
    expires <= BEARER_TOKEN_SECONDS_MAX;
  if (!isRight || begins === undefined) return undefined;
  return {
    accessKeyId,
    scope: { date, region, service },
    terminator,
    timestamp: field("X-Amz-Date"),
    begins,
    expiresSeconds: expires,
    sessionToken: fields.get("X-Amz-Security-Token") ?? undefined,
    signature: field("X-Amz-Signature"),
    query: parts
      .filter(({ name }) => !UNSIGNED.includes(name))
      .map(({ part }) => part)
      .join("&"),
  };
}

/** The query of the URL in a token. */
function decoded(token: string): string | undefined {
  const letters = token.slice(BEARER_TOKEN_PREFIX.length);
  const isForm = token.startsWith(BEARER_TOKEN_PREFIX) && /^[A-Za-z0-9+/_-]+={0,2}$/.test(letters);
  // Node ignores trailing letters that make no whole byte. Accepting them would give a token several forms.
  const isWhole = letters.replace(/=+$/, "").length % 4 !== 1;
  if (!isForm || !isWhole || letters.length > TOKEN_BYTES_MAX) return undefined;
  const text = Buffer.from(letters, "base64").toString("latin1");
  return text.startsWith(BEGINNING) ? text.slice(BEGINNING.length) : undefined;
}

function checkTime(
  { begins, expiresSeconds, timestamp }: TokenClaim,
  options: VerifyOptions,
): SigV4Error | undefined {
  const now = options.now.getTime() / 1000;
  if (now < begins - (options.clockSkewSeconds ?? 300)) {
    return refuse(
      "InvalidSignatureException",
      `Signature not yet current: the token is good from ${timestamp} on`,
    );
  }
  if (now <= begins + expiresSeconds) return undefined;
  const end = formatTimestamp(new Date(1000 * (begins + expiresSeconds)));
  return refuse(
    "ExpiredTokenException",
    `The security token included in the request is expired since ${end}`,
  );
}
