// The messages between the engine thread and the main thread. Plain data only.
import type { ErrorCode } from "../../errors.ts";
import type { ThreadStats } from "../counts.ts";
import type { FinishedRequest, Progress } from "../pass-result.ts";
import type { GenerationRequest } from "../sequence.ts";

export type ToEngine =
  | { readonly type: "submit"; readonly request: GenerationRequest }
  | { readonly type: "abort"; readonly id: number }
  | { readonly type: "close" };

/** The result of a pass in one message: see `PassResult`. */
export interface PassReport {
  readonly type: "pass";
  /** When the pass began, in milliseconds of `SYSTEM_CLOCK`, which is the same in all threads. */
  readonly beganMs: number;
  readonly started: readonly number[];
  readonly prefilled: readonly number[];
  readonly progress: readonly Progress[];
  readonly finished: readonly ({ readonly id: number } & Omit<FinishedRequest, "request">)[];
  readonly stats: ThreadStats;
}

export interface Refusal {
  readonly type: "refused";
  readonly id: number;
  readonly code: ErrorCode;
  readonly message: string;
}

export type FromEngine<Info> =
  | { readonly type: "ready"; readonly info: Info; readonly stats: ThreadStats }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string }
  /** The fraction of the weights that has been read, from 0 to 1. */
  | { readonly type: "loading"; readonly part: number }
  /** Something the operator should know. The engine goes on. */
  | { readonly type: "problem"; readonly message: string }
  | PassReport
  | Refusal
  /** There is nothing left to do, and every page is free or idle. */
  | { readonly type: "idle"; readonly stats: ThreadStats };
