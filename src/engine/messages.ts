// What crosses the border between the engine thread and the others: plain data only.
import type { Hypothesis } from "../decoding/strategy.ts";
import type { ErrorCode } from "../errors.ts";
import type { GenerationRequest } from "./sequence.ts";

export type ToEngine =
  | { readonly type: "submit"; readonly request: GenerationRequest }
  | { readonly type: "abort"; readonly id: number }
  | { readonly type: "close" };

export type FromEngine<Info> =
  | { readonly type: "ready"; readonly info: Info }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string }
  | { readonly type: "finished"; readonly id: number; readonly hypotheses: readonly Hypothesis[] }
  | { readonly type: "refused"; readonly id: number; readonly code: ErrorCode; readonly message: string };
