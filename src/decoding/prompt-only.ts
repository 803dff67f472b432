// The strategy for a request that wants no new tokens: it is done as soon as its prompt has been computed.
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { DecodingParams } from "./decoding-params.ts";
import type { ProcessorChain } from "./processor-chain.ts";
import type {
  Continuation,
  DecodingStrategy,
  Hypothesis,
  LiveSequence,
  NextLogits,
  SettledTokens,
} from "./strategy.ts";

export class PromptOnly implements DecodingStrategy {
  readonly width = 1;
  readonly together = true;
  readonly #params: DecodingParams;
  readonly #processors: ProcessorChain;
  #tokenIds: readonly number[] = [];
  #next: NextLogits | undefined;

  /** With `tellsNext` the processors are applied to the next token's logits, to report what they would change. */
  constructor(params: DecodingParams, processors: ProcessorChain) {
    this.#params = params;
    this.#processors = processors;
  }

  advance([sequence]: readonly LiveSequence[], [row]: readonly LogitsRow[]): Continuation[] {
    this.#tokenIds = (sequence as LiveSequence).tokenIds;
    if (this.#params.tellsNext) this.#next = this.#read(row as LogitsRow);
    return [];
  }

  #read(row: LogitsRow): NextLogits {
    const logits = row.values.slice();
    this.#processors.apply(row, this.#tokenIds);
    const changed: [number, number][] = [];
    for (const [id, value] of row.values.entries()) {
      if (!Object.is(value, logits[id])) changed.push([id, value]);
    }
    return { logits, changed };
  }

  settled(): SettledTokens[] {
    return [];
  }

  results(): Hypothesis[] {
    const { numReturnSequences, logprobs } = this.#params;
    const none = logprobs === undefined ? {} : { logprobs: [] };
    const next = this.#next && { next: this.#next };
    const result: Hypothesis = { tokenIds: this.#tokenIds, finishReason: "length", ...none, ...next };
    return Array.from({ length: numReturnSequences }, () => result);
  }
}
