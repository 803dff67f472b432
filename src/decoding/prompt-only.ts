// No search: the request wants no new tokens, so that it is done when its prompt is read.
import type { DecodingParams } from "./decoding-params.ts";
import type { Continuation, DecodingStrategy, Hypothesis, LiveSequence, SettledTokens } from "./strategy.ts";

export class PromptOnly implements DecodingStrategy {
  readonly width = 1;
  readonly together = true;
  readonly #params: DecodingParams;
  #tokenIds: readonly number[] = [];

  constructor(params: DecodingParams) {
    this.#params = params;
  }

  advance(sequences: readonly LiveSequence[]): Continuation[] {
    this.#tokenIds = (sequences[0] as LiveSequence).tokenIds;
    return [];
  }

  settled(): SettledTokens[] {
    return [];
  }

  results(): Hypothesis[] {
    const { numReturnSequences, logprobs } = this.#params;
    const none = logprobs === undefined ? {} : { logprobs: [] };
    const result: Hypothesis = { tokenIds: this.#tokenIds, finishReason: "length", ...none };
    return Array.from({ length: numReturnSequences }, () => result);
  }
}
