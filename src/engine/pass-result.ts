// The types of a pass's results: for the requests in it, and for the metrics.
import type { BeamStepTrace } from "../decoding/beam-trace.ts";
import type { Hypothesis, SettledTokens } from "../decoding/strategy.ts";
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { GenerationRequest } from "./sequence.ts";

export interface FinishedRequest {
  readonly request: GenerationRequest;
  readonly hypotheses: readonly Hypothesis[];
  /** Prompt tokens whose keys and values were found in the prefix cache. */
  readonly cachedTokens: number;
  /** If asked for. Entry i belongs to token i + 1 of the prompt, since nothing precedes the first token. */
  readonly promptLogprobs?: readonly TokenLogprobs[];
  /** Beam search with a trace: the steps since the last progress. */
  readonly steps?: readonly BeamStepTrace[];
}

/** A request that the engine gives up because the model's logits are NaN or infinite. */
export interface FailedRequest {
  readonly request: GenerationRequest;
  readonly message: string;
}

/** Tokens that have become settled since the last progress of a request. */
export interface Progress {
  readonly id: number;
  /** For each of the first sequences of the answer, in its order: the newly settled tokens. */
  readonly sequences: readonly SettledTokens[];
  /** Only in the first progress, if asked for: see `FinishedRequest`. */
  readonly promptLogprobs?: readonly TokenLogprobs[];
  /** Beam search with a trace: the steps since the last progress. */
  readonly steps?: readonly BeamStepTrace[];
}

/** The result of one pass. */
export interface PassResult {
  /** Number of rows of the pass, and of those with logits. */
  readonly numTokens: number;
  readonly numLogitRows: number;
  /** Number of guessed tokens, and of those that were accepted. Each accepted one saves its sequence a pass. */
  readonly numGuessed: number;
  readonly numAccepted: number;
  /** Number of new tokens, one for each sequence or beam. */
  readonly numGenerated: number;
  /** Tokens of the prompts in `prefilled`: all, those looked up in the prefix cache, and those found there. */
  readonly promptTokens: number;
  readonly queriedTokens: number;
  readonly cachedTokens: number;
  /** Ids of requests for which this was the first pass. */
  readonly started: readonly number[];
  /** Ids of requests whose prompt was completed in this pass, so that their first new token is known. */
  readonly prefilled: readonly number[];
  readonly progress: readonly Progress[];
  readonly finished: readonly FinishedRequest[];
  readonly failed: readonly FailedRequest[];
}
