// AWS Signature Version 4 for servers: verifies signed requests, offers the three stages of a signature one by one, and has a
// small signer. It depends on no framework, only on node:crypto and the raw request.
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
