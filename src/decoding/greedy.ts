// Greedy search: the sequence goes on with its most likely token.
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { DecodingParams } from "./decoding-params.ts";
import { finished } from "./finished.ts";
import type { LogitsProcessor } from "./logits-processors.ts";
import type { Branch, Continuation, DecodingStrategy, Hypothesis, SearchContext } from "./strategy.ts";

/** One deterministic sequence, computed once and returned as often as asked for. */
export class GreedySearch implements DecodingStrategy {
  readonly width = 1;
  readonly #params: DecodingParams;
  readonly #processors: readonly LogitsProcessor[];
  readonly #eos: ReadonlySet<number>;
  #result: Hypothesis | undefined;

  constructor(params: DecodingParams, processors: readonly LogitsProcessor[], context: SearchContext) {
    this.#params = params;
    this.#processors = processors;
    this.#eos = context.eosTokenIds;
  }

  advance(branches: readonly Branch[], rows: readonly LogitsRow[]): Continuation[] {
    const branch = branches[0] as Branch;
    const row = rows[0] as LogitsRow;
    for (const process of this.#processors) process(row, branch.tokenIds);
    const tokenId = row.argmax();
    this.#result = finished(branch.tokenIds, tokenId, this.#eos, this.#params.maxLength);
    return this.#result ? [] : [{ parent: 0, index: 0, tokenId }];
  }

  settled(branches: readonly Branch[]): (readonly number[])[] {
    const { numReturnSequences } = this.#params;
    return new Array(numReturnSequences).fill((branches[0] as Branch).tokenIds);
  }

  results(): Hypothesis[] {
    const { numReturnSequences } = this.#params;
    return Array.from({ length: numReturnSequences }, () => this.#result as Hypothesis);
  }
}
