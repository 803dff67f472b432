// A row of logits in the kernels' shared memory, worked on by `wasm/logits.ts`. Each call runs on the calling thread:
// a row takes some microseconds, about as long as waking the others would.

import { type Distribution, type LogitsRow, ranked, type ScoredToken } from "../logits-row.ts";
import { type LinearMemory, rowStride } from "../memory.ts";
import type { LogitsPlace } from "../program.ts";
import { log } from "../reference/double-math.ts";

/** The exports of `wasm/logits.ts`: a row is its address and its padded width. */
export interface LogitsExports {
  argmax(row: number, stride: number): number;
  largest(row: number, stride: number): number;
  sumExp(row: number, stride: number, largest: number): number;
  subtract(row: number, stride: number, total: number): void;
  divide(row: number, stride: number, divisor: number): void;
  kthLargest(row: number, stride: number, k: number, heap: number): number;
  collect(row: number, stride: number, threshold: number, ids: number): number;
  keepFrom(row: number, stride: number, threshold: number, scratch: number): number;
  keepTopP(row: number, stride: number, p: number, scratch: number, known: number): number;
  distribution(row: number, stride: number, scratch: number, known: number): number;
}

/**
 * Whose ids lie in the scratch that rows share, and how many: after top-k a row knows its tokens, and what follows need
 * not search the whole vocabulary for them.
 */
export interface ScratchContents {
  owner: WasmLogitsRow | undefined;
  count: number;
}

/** The smallest number of f32 that is at least `x`. */
function roundedUp(x: number): number {
  const nearest = Math.fround(x);
  if (!(nearest < x)) return nearest;
  const bits = new Int32Array(Float32Array.of(nearest).buffer);
  bits[0] = (bits[0] as number) + (nearest > 0 ? 1 : -1);
  return nearest === 0 ? 2 ** -149 : (new Float32Array(bits.buffer)[0] as number);
}

/** None, for the kernels. */
const UNKNOWN = -1;

export class WasmLogitsRow implements LogitsRow {
  readonly values: Float32Array;
  readonly #memory: LinearMemory;
  readonly #kernels: LogitsExports;
  readonly #row: number;
  readonly #stride: number;
  readonly #scratch: number;
  readonly #contents: ScratchContents;

  constructor(
    memory: LinearMemory,
    kernels: LogitsExports,
    contents: ScratchContents,
    { address, width, scratch }: LogitsPlace,
  ) {
    this.#contents = contents;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#row = address;
    this.#stride = rowStride(width);
    this.#scratch = scratch;
    this.values = memory.floats(address, width);
    // The row's padding never wins.
    memory.floats(address + 4 * width, this.#stride - width).fill(Number.NEGATIVE_INFINITY);
  }

  largest(): number {
    return this.#kernels.largest(this.#row, this.#stride);
  }

  argmax(): number {
    const tokenId = this.#kernels.argmax(this.#row, this.#stride);
    // Where all values are NaN only the padding has a number.
    return tokenId < this.values.length ? tokenId : 0;
  }

  logSumExp(): number {
    const largest = this.largest();
    return largest + log(this.#kernels.sumExp(this.#row, this.#stride, largest));
  }

  logSoftmax(): void {
    this.#kernels.subtract(this.#row, this.#stride, this.logSumExp());
  }

  divide(divisor: number): void {
    this.#kernels.divide(this.#row, this.#stride, divisor);
  }

  topK(k: number): ScoredToken[] {
    this.#contents.owner = undefined;
    const threshold = this.#kthLargest(k);
    // −∞: fewer than k values are numbers above it, and NaN may be among the k.
    if (threshold === Number.NEGATIVE_INFINITY) return ranked(this.values, this.values.keys(), k);
    const count = this.#kernels.collect(this.#row, this.#stride, threshold, this.#scratch);
    return ranked(this.values, this.#memory.ints(this.#scratch, count), k);
  }

  keepTopK(k: number): void {
    const threshold = this.#kthLargest(k);
    this.#remember(this.#kernels.keepFrom(this.#row, this.#stride, threshold, this.#scratch));
  }

  keepTopP(p: number): void {
    this.#remember(this.#kernels.keepTopP(this.#row, this.#stride, p, this.#scratch, this.#known()));
  }

  keepMinP(m: number): void {
    const largest = this.largest();
    if (!Number.isFinite(largest)) return; // Such a row is refused by its caller.
    // The kernel compares with a number of f32: the smallest one that is not below the threshold decides the same.
    const threshold = roundedUp(largest + log(m));
    this.#remember(this.#kernels.keepFrom(this.#row, this.#stride, threshold, this.#scratch));
  }

  distribution(): Distribution {
    const count = this.#kernels.distribution(this.#row, this.#stride, this.#scratch, this.#known());
    this.#remember(count);
    const ids = this.#scratch + 4 * this.#stride;
    return {
      tokenIds: this.#memory.ints(ids, count),
      cumulative: this.#memory.doubles(ids + 4 * this.#stride, count),
    };
  }

  /** How many ids in the scratch this row's tokens are among. */
  #known(): number {
    return this.#contents.owner === this ? this.#contents.count : UNKNOWN;
  }

  #remember(count: number): void {
    this.#contents.owner = this;
    this.#contents.count = count;
  }

  #kthLargest(k: number): number {
    return this.#kernels.kthLargest(this.#row, this.#stride, Math.min(k, this.values.length), this.#scratch);
  }
}
