// A row of logits in the kernels' shared memory. `wasm/logits.ts` computes its operations, on the calling thread alone: an
// operation takes a few microseconds, about as long as waking the other threads.
import { type Distribution, type LogitsRow, ranked, type ScoredToken } from "../logits-row.ts";
import { type LinearMemory, rowStride } from "../memory.ts";
import { ROW_SCRATCH } from "../numbers.ts";
import type { LogitsPlace } from "../program.ts";
import { log } from "../reference/double-math.ts";

/** The exports of `wasm/logits.ts`. `row`: the row's address. `stride`: its padded width. */
export interface LogitsExports {
  openRow(row: number, width: number, scratch: number): void;
  largest(row: number, stride: number): number;
  argmax(row: number, stride: number): number;
  sumExp(row: number, stride: number, largest: number, scratch: number): number;
  subtract(row: number, stride: number, total: number): void;
  divide(row: number, stride: number, divisor: number): void;
  topK(row: number, stride: number, k: number, scratch: number): number;
  keepTopK(row: number, stride: number, k: number, scratch: number): void;
  keepTopP(row: number, stride: number, p: number, scratch: number): void;
  keepFrom(row: number, stride: number, threshold: number, scratch: number): void;
  distribution(row: number, stride: number, scratch: number): number;
}

export class WasmLogitsRow implements LogitsRow {
  readonly values: Float32Array;
  readonly #memory: LinearMemory;
  readonly #kernels: LogitsExports;
  readonly #row: number;
  readonly #stride: number;
  readonly #scratch: number;

  constructor(memory: LinearMemory, kernels: LogitsExports, { address, width, scratch }: LogitsPlace) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#row = address;
    this.#stride = rowStride(width);
    this.#scratch = scratch;
    this.values = memory.floats(address, width);
    kernels.openRow(address, width, scratch);
  }

  largest(): number {
    return this.#kernels.largest(this.#row, this.#stride);
  }

  argmax(): number {
    const tokenId = this.#kernels.argmax(this.#row, this.#stride);
    // If all values are NaN, only the padding has a number.
    return tokenId < this.values.length ? tokenId : 0;
  }

  logSumExp(): number {
    const largest = this.largest();
    return largest + log(this.#kernels.sumExp(this.#row, this.#stride, largest, this.#scratch));
  }

  logSoftmax(): void {
    this.#kernels.subtract(this.#row, this.#stride, this.logSumExp());
  }

  divide(divisor: number): void {
    this.#kernels.divide(this.#row, this.#stride, divisor);
  }

  topK(k: number): ScoredToken[] {
    const count = this.#kernels.topK(this.#row, this.#stride, this.#atMost(k), this.#scratch);
    // Fewer than k values are above −∞, so any token may be among the k.
    if (count < 0) return ranked(this.values, this.values.keys(), k);
    return ranked(this.values, this.#memory.ints(this.#addressOf("ids"), count), k);
  }

  keepTopK(k: number): void {
    this.#kernels.keepTopK(this.#row, this.#stride, this.#atMost(k), this.#scratch);
  }

  keepTopP(p: number): void {
    this.#kernels.keepTopP(this.#row, this.#stride, p, this.#scratch);
  }

  keepMinP(m: number): void {
    const largest = this.largest();
    if (!Number.isFinite(largest)) return; // The caller refuses such a row.
    this.#kernels.keepFrom(this.#row, this.#stride, largest + log(m), this.#scratch);
  }

  distribution(): Distribution {
    const count = this.#kernels.distribution(this.#row, this.#stride, this.#scratch);
    return {
      tokenIds: this.#memory.ints(this.#addressOf("ids"), count),
      cumulative: this.#memory.doubles(this.#addressOf("masses"), count),
    };
  }

  #atMost(k: number): number {
    return Math.min(k, this.values.length);
  }

  /** The address in a field of the scratch. */
  #addressOf(field: "ids" | "masses"): number {
    return (this.#memory.i32[(this.#scratch + ROW_SCRATCH[field].offset) >>> 2] as number) >>> 0;
  }
}
