// AWS Signature Version 4 for servers: verification of signed requests, the three stages of a signature one by one,
// and a small signer. Framework-free: it needs node:crypto and the raw request.
export {
  BEARER_TOKEN_PREFIX,
  BEARER_TOKEN_SECONDS_MAX,
  type BearerTokenOptions,
  makeBearerToken,
  type VerifiedToken,
  verifyBearerToken,
} from "./bearer-token.ts";
export {
  type CanonicalOptions,
  canonicalRequest,
  type RawRequest,
  type RequestHead,
  sha256Hex,
} from "./canonical.ts";
export type { Limits, SigV4Error, SigV4ErrorType } from "./parse.ts";
export {
  type Credential,
  formatTimestamp,
  type RequestToSign,
  type Scope,
  type SignOptions,
  signature,
  signRequest,
  stringToSign,
} from "./sign.ts";
export {
  type Plausible,
  type Refused,
  type Verified,
  type VerifyOptions,
  verifyHead,
  verifySigV4,
} from "./verify.ts";
