// Greedy search: every step takes the most likely token.
import type { LogitsRow } from "../kernels/logits-row.ts";
import { traceChoice } from "./choice-trace.ts";
import type { DecodingParams } from "./decoding-params.ts";
import type { Endings } from "./endings.ts";
import type { ProcessorChain } from "./processor-chain.ts";
import {
  type Continuation,
  type DecodingStrategy,
  extended,
  type Hypothesis,
  type LiveSequence,
  type SettledTokens,
} from "./strategy.ts";
import { logprobOptions, readLogprobs } from "./token-logprobs.ts";

/** One deterministic sequence. It is computed once and returned `numReturnSequences` times. */
export class GreedySearch implements DecodingStrategy {
  readonly width = 1;
  readonly together = true;
  readonly #params: DecodingParams;
  readonly #processors: ProcessorChain;
  readonly #endings: Endings;
  #result: Hypothesis | undefined;

  constructor(params: DecodingParams, processors: ProcessorChain, endings: Endings) {
    this.#params = params;
    this.#processors = processors;
    this.#endings = endings;
  }

  advance(sequences: readonly LiveSequence[], rows: readonly LogitsRow[]): Continuation[] {
    const sequence = sequences[0] as LiveSequence;
    const row = rows[0] as LogitsRow;
    const options = logprobOptions(this.#params);
    const logprobsOf = options && readLogprobs(row, options);
    const filters = this.#params.trace && this.#processors.applyTraced(row, sequence.tokenIds);
    if (!filters) this.#processors.apply(row, sequence.tokenIds);
    const tokenId = row.argmax();
    const own = logprobsOf?.(tokenId);
    const choice = own && filters && traceChoice(tokenId, own.top, row.distribution(), filters);
    const logprobs = own && { logprobs: { ...own, ...(choice && { choice }) } };
    const next = { parent: 0, index: 0, tokenId, ...logprobs };
    const end = this.#endings.endWith(sequence.tokenIds, tokenId);
    if (!end) return [next];
    this.#result = { ...extended(sequence, next), ...end };
    return [];
  }

  settled(sequences: readonly LiveSequence[]): SettledTokens[] {
    const { numReturnSequences } = this.#params;
    return new Array(numReturnSequences).fill(sequences[0] as LiveSequence);
  }

  results(): Hypothesis[] {
    const { numReturnSequences } = this.#params;
    return Array.from({ length: numReturnSequences }, () => this.#result as Hypothesis);
  }
}
