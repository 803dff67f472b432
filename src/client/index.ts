// The entry point of `gpt2-api/client`, a small HTTP client for Node and browsers.

export type { Run } from "../library/run.ts";
export type { ScoredText } from "../request/answer.ts";
export type { TextRequest } from "../request/params.ts";
export { ApiError, type ApiErrorCode } from "./api-error.ts";
export {
  Client,
  type ClientGenerateOptions,
  type ClientOptions,
  type ClientPiece,
  type ClientResult,
} from "./client.ts";
export type { KeyPair } from "./signing.ts";
