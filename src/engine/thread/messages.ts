// What crosses the border between the engine thread and the others: plain data only.
import type { ErrorCode } from "../../errors.ts";
import type { ThreadStats } from "../counts.ts";
import type { FinishedRequest, Progress } from "../pass-result.ts";
import type { GenerationRequest } from "../sequence.ts";

export type ToEngine =
  | { readonly type: "submit"; readonly request: GenerationRequest }
  | { readonly type: "abort"; readonly id: number }
  | { readonly type: "close" };

/** What a pass did, in one message; see `PassResult`. */
export interface PassReport {
  readonly type: "pass";
  /** When the pass began, in milliseconds of the system clock, which all threads share. */
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
  /** Which part of the weights is read, from 0 to 1. */
  | { readonly type: "loading"; readonly part: number }
  /** Something the operator should know, and nothing that stops the engine. */
  | { readonly type: "problem"; readonly message: string }
  | PassReport
  | Refusal
  /** Nothing is left to do, and every page is home. */
  | { readonly type: "idle"; readonly stats: ThreadStats };
