// Sampling: every step draws a token from the filtered distribution.
import type { Distribution, LogitsRow } from "../kernels/logits-row.ts";
import { traceChoice } from "./choice-trace.ts";
import type { DecodingParams } from "./decoding-params.ts";
import type { Endings } from "./endings.ts";
import type { ProcessorChain } from "./processor-chain.ts";
import { uniform } from "./random.ts";
import {
  type Continuation,
  type DecodingStrategy,
  extended,
  type Hypothesis,
  type LiveSequence,
  type SettledTokens,
} from "./strategy.ts";
import { logprobOptions, readLogprobs } from "./token-logprobs.ts";

/** `numReturnSequences` sequences, drawn independently of each other. */
export class MultinomialSampling implements DecodingStrategy {
  readonly width: number;
  readonly together = false;
  readonly #params: DecodingParams;
  readonly #processors: ProcessorChain;
  readonly #endings: Endings;
  readonly #results: Hypothesis[] = [];
  #started = false;

  constructor(params: DecodingParams, processors: ProcessorChain, endings: Endings) {
    this.width = params.numReturnSequences;
    this.#params = params;
    this.#processors = processors;
    this.#endings = endings;
  }

  advance(sequences: readonly LiveSequence[], rows: readonly LogitsRow[]): Continuation[] {
    const { seed, trace } = this.#params;
    const options = logprobOptions(this.#params);
    const continuations: Continuation[] = [];
    for (const [parent, sequence] of sequences.entries()) {
      const row = rows[parent] as LogitsRow;
      const logprobsOf = options && readLogprobs(row, options);
      const filters = trace && this.#processors.applyTraced(row, sequence.tokenIds);
      if (!filters) this.#processors.apply(row, sequence.tokenIds);
      // In the first step all sequences are drawn from one row, the prompt's.
      const distribution = row.distribution();
      const indexes = this.#started
        ? [sequence.index]
        : Array.from({ length: this.width }, (_, index) => index);
      for (const index of indexes) {
        const u = uniform(seed, index, sequence.tokenIds.length);
        const tokenId = draw(distribution, u);
        const own = logprobsOf?.(tokenId);
        const choice = own && filters && traceChoice(tokenId, own.top, distribution, filters, u);
        const logprobs = own && { logprobs: { ...own, ...(choice && { choice }) } };
        const next = { parent, index, tokenId, ...logprobs };
        const end = this.#endings.endWith(sequence.tokenIds, tokenId);
        if (end) this.#results[index] = { ...extended(sequence, next), ...end };
        else continuations.push(next);
      }
    }
    this.#started = true;
    return continuations;
  }

  settled(sequences: readonly LiveSequence[]): SettledTokens[] {
    const settled = this.#results.map(withoutEnd);
    for (const sequence of sequences) settled[sequence.index] = sequence;
    return settled;
  }

  results(): Hypothesis[] {
    return this.#results;
  }
}

/** Without the token that ended the sequence: it may not be part of the text, so it is not streamed. */
function withoutEnd({ tokenIds, logprobs, finishReason }: Hypothesis): SettledTokens {
  const end = finishReason === "stop" ? -1 : undefined;
  return { tokenIds: tokenIds.slice(0, end), ...(logprobs && { logprobs: logprobs.slice(0, end) }) };
}

/**
 * The first token, in the order of ids, at which the cumulative probability exceeds `u`, a number in [0, 1). If every token is
 * banned: token 0, which an arg-max would return too.
 */
export function draw({ tokenIds, cumulative }: Distribution, u: number): number {
  if (tokenIds.length === 0) return 0;
  const goal = u * (cumulative.at(-1) as number);
  let [low, high] = [0, tokenIds.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cumulative[middle] as number) > goal) high = middle;
    else low = middle + 1;
  }
  return tokenIds[high] as number;
}
