// What a pass did: for the requests in it, and for those who count.
import type { BeamStepTrace } from "../decoding/beam-trace.ts";
import type { Hypothesis, SettledTokens } from "../decoding/strategy.ts";
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { GenerationRequest } from "./sequence.ts";

export interface FinishedRequest {
  readonly request: GenerationRequest;
  readonly hypotheses: readonly Hypothesis[];
  /** Prompt tokens whose keys and values were found, not computed. */
  readonly cachedTokens: number;
  /** Where they are asked for: entry i is of token i + 1 of the prompt; its first token has nothing before it. */
  readonly promptLogprobs?: readonly TokenLogprobs[];
  /** Beam search with a trace: the steps that no progress has told. */
  readonly steps?: readonly BeamStepTrace[];
}

/** A request that the engine gives up, because the model answered it with what are no numbers. */
export interface FailedRequest {
  readonly request: GenerationRequest;
  readonly message: string;
}

/** Tokens that are settled since the last pass. */
export interface Progress {
  readonly id: number;
  /** Of the first sequences of the answer, in its order: the further tokens, without those told before. */
  readonly sequences: readonly SettledTokens[];
  /** With the first progress of a request that asks for them: see `FinishedRequest`. */
  readonly promptLogprobs?: readonly TokenLogprobs[];
  /** Beam search with a trace: the steps since the last progress. */
  readonly steps?: readonly BeamStepTrace[];
}

/** What a pass did. */
export interface PassResult {
  /** Rows of the pass, and those of them with logits. */
  readonly numTokens: number;
  readonly numLogitRows: number;
  /** Tokens that were guessed, and those of them that were right and spared their sequence a pass. */
  readonly numGuessed: number;
  readonly numAccepted: number;
  /** New tokens that were chosen: one for each sequence or beam. */
  readonly numGenerated: number;
  /** Tokens of the prompts in `prefilled`; those that were looked for in the prefix cache; and those that were found. */
  readonly promptTokens: number;
  readonly queriedTokens: number;
  readonly cachedTokens: number;
  /** Ids of requests of which this was the first pass. */
  readonly started: readonly number[];
  /** Ids of requests whose prompt is read, so that their first new token is there. */
  readonly prefilled: readonly number[];
  readonly progress: readonly Progress[];
  readonly finished: readonly FinishedRequest[];
  readonly failed: readonly FailedRequest[];
}
