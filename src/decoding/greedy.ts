// Greedy search: the sequence goes on with its most likely token.
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { DecodingParams } from "./decoding-params.ts";
import { finished } from "./finished.ts";
import type { LogitsProcessor } from "./logits-processors.ts";
import type { Continuation, DecodingStrategy, Hypothesis, LiveSequence, SearchContext } from "./strategy.ts";

/** One deterministic sequence, computed once and returned as often as asked for. */
export class GreedySearch implements DecodingStrategy {
  readonly width = 1;
  readonly together = true;
  readonly #params: DecodingParams;
  readonly #processors: readonly LogitsProcessor[];
  readonly #eos: ReadonlySet<number>;
  #result: Hypothesis | undefined;

  constructor(params: DecodingParams, processors: readonly LogitsProcessor[], context: SearchContext) {
    this.#params = params;
    this.#processors = processors;
    this.#eos = context.eosTokenIds;
  }

  advance(sequences: readonly LiveSequence[], rows: readonly LogitsRow[]): Continuation[] {
    const sequence = sequences[0] as LiveSequence;
    const row = rows[0] as LogitsRow;
    for (const process of this.#processors) process(row, sequence.tokenIds);
    const tokenId = row.argmax();
    this.#result = finished(sequence.tokenIds, tokenId, this.#eos, this.#params.maxLength);
    return this.#result ? [] : [{ parent: 0, index: 0, tokenId }];
  }

  settled(sequences: readonly LiveSequence[]): (readonly number[])[] {
    const { numReturnSequences } = this.#params;
    return new Array(numReturnSequences).fill((sequences[0] as LiveSequence).tokenIds);
  }

  results(): Hypothesis[] {
    const { numReturnSequences } = this.#params;
    return Array.from({ length: numReturnSequences }, () => this.#result as Hypothesis);
  }
}
