// The logits processors of a request in their order, each with the name of the request parameter that it comes from.
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { LogitsProcessor } from "./logits-processors.ts";

/** How many tokens were left after a processor. */
export interface FilterTrace {
  readonly parameter: string;
  readonly left: number;
}

export class ProcessorChain {
  readonly #steps: { readonly parameter: string; readonly process: LogitsProcessor }[] = [];

  add(parameter: string, process: LogitsProcessor): void {
    this.#steps.push({ parameter, process });
  }

  /** `tokenIds`: all tokens of the sequence so far, including the prompt. */
  apply(row: LogitsRow, tokenIds: readonly number[]): void {
    for (const { process } of this.#steps) process(row, tokenIds);
  }

  /** The same, and counts the tokens left after each processor. */
  applyTraced(row: LogitsRow, tokenIds: readonly number[]): FilterTrace[] {
    return this.#steps.map(({ parameter, process }) => {
      process(row, tokenIds);
      return { parameter, left: numLeft(row) };
    });
  }
}

function numLeft({ values }: LogitsRow): number {
  let count = 0;
  for (const value of values) if (value !== Number.NEGATIVE_INFINITY) count++;
  return count;
}
