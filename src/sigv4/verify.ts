// Verifies AWS Signature Version 4 in the Authorization header, over the body that was really received. The checks run in the
// order of AWS's services and answer with their names and texts. Checks that need no body come first and can run alone, so a
// server can refuse a request by its head without receiving its body. This code knows nothing of HTTP servers and keeps no
// state: a signature can be replayed until the clock window closes. It does not accept presigned URLs.
import { timingSafeEqual } from "node:crypto";
import {
  canonicalRequest,
  foldHeaders,
  type RawRequest,
  type RequestHead,
  sha256Hex,
  wireBytes,
} from "./canonical.ts";
import { type Authorization, type Limits, parseAuthorization, refuse, type SigV4Error } from "./parse.ts";
import { type Credential, formatTimestamp, type Scope, signature, stringToSign, TERMINATOR } from "./sign.ts";

export interface VerifyOptions<C extends Credential = Credential> extends Limits {
  /** Looks a key up, once for a request; undefined: no such key. */
  readonly credentials: (accessKeyId: string) => C | undefined;
  /** The one region that is accepted, or "any". */
  readonly region: string;
  /** The signing name, `sagemaker` for SageMaker Runtime. */
  readonly service: string;
  readonly now: Date;
  /** How far the request's time may be from `now`, either way. Default 300. */
  readonly clockSkewSeconds?: number;
  /** Host values to try when the signature does not match the received one: clients behind a proxy sign another. */
  readonly hostAliases?: readonly string[];
  /** false: S3 style, see `CanonicalOptions`. */
  readonly normalizePath?: boolean;
}

export interface Verified<C extends Credential = Credential> {
  readonly ok: true;
  /** As it was looked up. */
  readonly credential: C;
  readonly signedHeaders: readonly string[];
  /** The host value that was signed: the received one or an alias. */
  readonly host: string;
}

export interface Refused {
  readonly ok: false;
  readonly error: SigV4Error;
  /** What the server made of the request, for "explain" output; absent when it was refused for its head. */
  readonly canonicalRequest?: string;
  readonly stringToSign?: string;
}

/** The head is in order. The signature is still to be compared. */
export interface Plausible<C extends Credential = Credential> {
  readonly ok: true;
  /** Decides, once the body is there. Never throws. */
  readonly verifyBody: (body: Uint8Array) => Verified<C> | Refused;
}

export const INVALID_TOKEN = refuse(
  "UnrecognizedClientException",
  "The security token included in the request is invalid.",
);
const EXPIRED_TOKEN = refuse(
  "ExpiredTokenException",
  "The security token included in the request is expired",
);
const MISMATCH = refuse(
  "InvalidSignatureException",
  "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key " +
    "and signing method. Consult the service documentation for details.",
);

/** What a request claims: who signed it, when, and for what. */
interface Claim extends Authorization {
  readonly accessKeyId: string;
  readonly scope: Scope;
  readonly terminator: string;
}

/** Decides whether a request was signed with a known key, for this region and service, now. Never throws. */
export function verifySigV4<C extends Credential>(
  request: RawRequest,
  options: VerifyOptions<C>,
): Verified<C> | Refused {
  const head = verifyHead(request, options);
  return head.ok ? head.verifyBody(request.body) : head;
}

/** The checks that need no body: form, time, scope, key and session token. Never throws. */
export function verifyHead<C extends Credential>(
  head: RequestHead,
  options: VerifyOptions<C>,
): Plausible<C> | Refused {
  const authorization = parseAuthorization(head, options);
  if ("type" in authorization) return { ok: false, error: authorization };
  const claim = claimOf(authorization);
  const error = checkTime(claim, options) ?? checkCredentialForm(claim) ?? checkScope(claim, options);
  if (error !== undefined) return { ok: false, error };

  const credential = options.credentials(claim.accessKeyId);
  if (credential === undefined) return { ok: false, error: INVALID_TOKEN };
  const headers = foldHeaders(head.rawHeaders);
  const failure = checkToken(credential, headers.get("x-amz-security-token"), options.now);
  if (failure !== undefined) return { ok: false, error: failure };
  return { ok: true, verifyBody: (body) => verifyBody(head, body, claim, credential, options) };
}

/** The checks that need the body: its hash, and the signature over all. */
function verifyBody<C extends Credential>(
  head: RequestHead,
  body: Uint8Array,
  claim: Claim,
  credential: C,
  { hostAliases = [], normalizePath = true }: VerifyOptions<C>,
): Verified<C> | Refused {
  const headers = foldHeaders(head.rawHeaders);
  const payloadHash = sha256Hex(body);
  const { host, ...stages } = matchSignature(head, claim, {
    payloadHash,
    secretAccessKey: credential.secretAccessKey,
    hosts: [headers.get("host") ?? "", ...hostAliases],
    normalizePath,
  });
  const failure = checkPayloadHash(headers.get("x-amz-content-sha256"), payloadHash);
  if (failure !== undefined) return { ok: false, error: failure, ...stages };
  if (host === undefined) return { ok: false, error: MISMATCH, ...stages };
  return { ok: true, credential, signedHeaders: claim.signedHeaders, host };
}

function claimOf(authorization: Authorization): Claim {
  const [accessKeyId = "", date = "", region = "", service = "", terminator = ""] =
    authorization.credential.split("/");
  return { ...authorization, accessKeyId, scope: { date, region, service }, terminator };
}

/** The time must be a real one in ISO basic format, and near `now`; both ends of the window are allowed. */
function checkTime({ timestamp }: Claim, options: VerifyOptions): SigV4Error | undefined {
  const skew = options.clockSkewSeconds ?? 300;
  const time = parseTimestamp(timestamp);
  if (time === undefined) {
    return refuse(
      "IncompleteSignatureException",
      `Date must be in ISO-8601 'basic format'. Got '${timestamp}'. See http://en.wikipedia.org/wiki/ISO_8601`,
    );
  }
  const now = Math.floor(options.now.getTime() / 1000);
  const shown = (seconds: number) => formatTimestamp(new Date(seconds * 1000));
  if (time < now - skew) {
    return refuse(
      "InvalidSignatureException",
      `Signature expired: ${timestamp} is now earlier than ${shown(now - skew)} (${shown(now)} - ${skew / 60} min.)`,
    );
  }
  if (time > now + skew) {
    return refuse(
      "InvalidSignatureException",
      `Signature not yet current: ${timestamp} is still later than ${shown(now + skew)} (${shown(now)} + ${skew / 60} min.)`,
    );
  }
  return undefined;
}

/** Seconds since 1970 of `YYYYMMDDTHHMMSSZ`; undefined for anything else, impossible dates included. */
export function parseTimestamp(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, ...rest] = match.slice(1).map(Number);
  const time = new Date(Date.UTC(year, month - 1, ...rest));
  return formatTimestamp(time) === text ? time.getTime() / 1000 : undefined;
}

function checkCredentialForm({ credential }: Claim): SigV4Error | undefined {
  if (credential.split("/").length === 5) return undefined;
  return refuse(
    "IncompleteSignatureException",
    `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${credential}'`,
  );
}

/** The scope must be this region, service and day. The message names everything that differs. */
export function checkScope(
  { scope, terminator, timestamp }: Pick<Claim, "scope" | "terminator" | "timestamp">,
  options: VerifyOptions,
): SigV4Error | undefined {
  const day = timestamp.slice(0, 8);
  let message = "";
  if (options.region !== "any" && scope.region !== options.region) {
    message += `Credential should be scoped to a valid region, not '${scope.region}'. `;
  }
  if (scope.service !== options.service) {
    message += `Credential should be scoped to correct service: '${options.service}'. `;
  }
  if (terminator !== TERMINATOR) {
    message += `Credential should be scoped with a valid terminator: '${TERMINATOR}', not '${terminator}'. `;
  }
  if (scope.date !== day) {
    message +=
      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: " +
      `'${scope.date}' != '${day}', from '${timestamp}'.`;
  }
  return message === "" ? undefined : refuse("InvalidSignatureException", message);
}

/** The session token must be exactly the credential's, and absent if the credential has none. */
export function checkToken(
  credential: Credential,
  token: string | undefined,
  now: Date,
): SigV4Error | undefined {
  const expected = credential.sessionToken;
  const same =
    expected === undefined || token === undefined ? expected === token : equalInConstantTime(expected, token);
  if (!same) return INVALID_TOKEN;
  return credential.expiresAt !== undefined && credential.expiresAt <= now ? EXPIRED_TOKEN : undefined;
}

/** A declared payload hash must match the received body, since the signature always covers the body. */
function checkPayloadHash(declared: string | undefined, actual: string): SigV4Error | undefined {
  if (declared === undefined || declared === actual) return undefined;
  return refuse(
    MISMATCH.type,
    /^[0-9a-f]{64}$/.test(declared)
      ? `${MISMATCH.message} The 'x-amz-content-sha256' header is not the SHA-256 of the body that was received.`
      : `The 'x-amz-content-sha256' header must be the body's SHA-256 in lower-case hex, not '${declared}'.`,
  );
}

interface Material {
  readonly payloadHash: string;
  readonly secretAccessKey: string;
  /** The received host value, then its aliases. */
  readonly hosts: readonly [string, ...string[]];
  readonly normalizePath: boolean;
}

interface Match {
  /** The first host value under which the signature matches, if any does. */
  readonly host: string | undefined;
  /** Stages 1 and 2 with the received host. */
  readonly canonicalRequest: string;
  readonly stringToSign: string;
}

/** Compares the received signature with the computed one, for each possible host value in turn. */
function matchSignature(head: RequestHead, claim: Claim, material: Material): Match {
  const { signedHeaders, timestamp, scope } = claim;
  const { payloadHash, normalizePath } = material;
  const stagesWith = (host: string) => {
    const canonical = canonicalRequest(head, { signedHeaders, payloadHash, normalizePath, host });
    return { canonicalRequest: canonical, stringToSign: stringToSign(timestamp, scope, canonical) };
  };
  const [received] = material.hosts;
  const stages = stagesWith(received);
  const host = material.hosts.find((candidate) => {
    const { stringToSign: text } = candidate === received ? stages : stagesWith(candidate);
    return equalInConstantTime(signature(material.secretAccessKey, scope, text), claim.signature);
  });
  return { host, ...stages };
}

/** Hashing first makes the lengths equal, so the comparison leaks nothing but its result. */
export function equalInConstantTime(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256Hex(wireBytes(a))), Buffer.from(sha256Hex(wireBytes(b))));
}
