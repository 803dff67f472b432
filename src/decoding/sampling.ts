// Sampling: each sequence goes on with a token that is drawn from its filtered distribution.
import type { Distribution, LogitsRow } from "../kernels/logits-row.ts";
import type { DecodingParams } from "./decoding-params.ts";
import { finished } from "./finished.ts";
import type { LogitsProcessor } from "./logits-processors.ts";
import { uniform } from "./random.ts";
import type { Continuation, DecodingStrategy, Hypothesis, LiveSequence, SearchContext } from "./strategy.ts";

/** `numReturnSequences` sequences, drawn independently of each other. */
export class MultinomialSampling implements DecodingStrategy {
  readonly width: number;
  readonly together = false;
  readonly #params: DecodingParams;
  readonly #processors: readonly LogitsProcessor[];
  readonly #eos: ReadonlySet<number>;
  readonly #results: Hypothesis[] = [];
  #started = false;

  constructor(params: DecodingParams, processors: readonly LogitsProcessor[], context: SearchContext) {
    this.width = params.numReturnSequences;
    this.#params = params;
    this.#processors = processors;
    this.#eos = context.eosTokenIds;
  }

  advance(sequences: readonly LiveSequence[], rows: readonly LogitsRow[]): Continuation[] {
    const continuations: Continuation[] = [];
    for (const [parent, sequence] of sequences.entries()) {
      const row = rows[parent] as LogitsRow;
      for (const process of this.#processors) process(row, sequence.tokenIds);
      // The first step draws every sequence from the prompt's one row.
      const distribution = row.distribution();
      const indexes = this.#started
        ? [sequence.index]
        : Array.from({ length: this.width }, (_, index) => index);
      for (const index of indexes) {
        const tokenId = draw(distribution, uniform(this.#params.seed, index, sequence.tokenIds.length));
        const result = finished(sequence.tokenIds, tokenId, this.#eos, this.#params.maxLength);
        if (result) this.#results[index] = result;
        else continuations.push({ parent, index, tokenId });
      }
    }
    this.#started = true;
    return continuations;
  }

  settled(sequences: readonly LiveSequence[]): (readonly number[])[] {
    const settled = this.#results.map(({ tokenIds }) => tokenIds);
    for (const { index, tokenIds } of sequences) settled[index] = tokenIds;
    return settled;
  }

  results(): Hypothesis[] {
    return this.#results;
  }
}

/**
 * The token at which the cumulative probability, in id order, exceeds `u` in [0, 1). Of a row in which everything is
 * banned: token 0, as an arg-max would answer.
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
