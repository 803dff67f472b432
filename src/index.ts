// The library: GPT-2 in the caller's own process. No HTTP is loaded. The server is `gpt2-api/server`.
export { type ErrorCode, type ErrorKind, GptError } from "./errors.ts";
export {
  type GenerateOptions,
  type GeneratePiece,
  type GenerateResult,
  LanguageModel,
  type ScoreResult,
} from "./library/language-model.ts";
export { type LoadOptions, loadModel } from "./library/load-language-model.ts";
export type { Run } from "./library/run.ts";
export type { GeneratedText } from "./request/answer.ts";
export type { ModelInfo } from "./request/generation.ts";
export type { GenerationRequest } from "./request/params.ts";
export type { DecodeOptions, Tokenizer } from "./tokenizer/tokenizer.ts";
