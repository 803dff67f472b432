// The operations on a row of logits in plain TypeScript: the definition of their bits. Slow on purpose.
import { type Distribution, descending, type LogitsRow, ranked, type ScoredToken } from "../logits-row.ts";
import { exp, log, sum8 } from "./double-math.ts";

/** The operations in plain TypeScript, straight from their definitions. */
export class PlainLogitsRow implements LogitsRow {
  readonly values: Float32Array;

  constructor(values: Float32Array) {
    this.values = values;
  }

  largest(): number {
    return this.values.reduce((largest, z) => Math.max(largest, z), Number.NEGATIVE_INFINITY);
  }

  argmax(): number {
    return Math.max(0, this.values.indexOf(this.#largestNumber()));
  }

  logSumExp(): number {
    const largest = this.largest();
    return largest + log(partialSums(this.values, (z) => exp(z - largest)));
  }

  logSoftmax(): void {
    const total = this.logSumExp();
    for (const [i, z] of this.values.entries()) this.values[i] = z - total;
  }

  divide(divisor: number): void {
    const rounded = Math.fround(divisor);
    for (const [i, z] of this.values.entries()) this.values[i] = z / rounded;
  }

  topK(k: number): ScoredToken[] {
    return ranked(this.values, this.values.keys(), k);
  }

  keepTopK(k: number): void {
    const sorted = this.values.toSorted(descending);
    const kth = sorted[Math.min(k, sorted.length) - 1] as number;
    const threshold = Number.isNaN(kth) ? Number.NEGATIVE_INFINITY : kth;
    this.#keep((z) => z >= threshold);
  }

  keepTopP(p: number): void {
    const left = this.values.filter((z) => z > Number.NEGATIVE_INFINITY);
    const largest = this.#largestNumber();
    const weightAbove = (threshold: number): number =>
      partialSums(left, (z) => (z > threshold ? exp(z - largest) : 0));
    const goal = p * weightAbove(Number.NEGATIVE_INFINITY);
    // Finds the smallest value with less weight than `goal` above it. Bisection may be used: leaving out a weight never makes
    // a sum in a fixed order larger.
    const sorted = left.toSorted();
    let [low, high] = [0, sorted.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (weightAbove(sorted[middle] as number) < goal) high = middle;
      else low = middle + 1;
    }
    const threshold = sorted[high] as number;
    let above = weightAbove(threshold);
    let isFirst = true;
    this.#keep((z) => {
      if (z !== threshold) return z > threshold;
      const isIn = isFirst || above < goal;
      above += exp(threshold - largest);
      isFirst = false;
      return isIn;
    });
  }

  keepMinP(m: number): void {
    const largest = this.largest();
    if (!Number.isFinite(largest)) return; // The caller refuses such a row.
    const threshold = largest + log(m);
    this.#keep((z) => z >= threshold);
  }

  distribution(): Distribution {
    const largest = this.#largestNumber();
    const tokenIds = Int32Array.from(this.values.keys()).filter(
      (id) => (this.values[id] as number) > -Infinity,
    );
    let sum = 0;
    const cumulative = Float64Array.from(tokenIds, (id) => {
      sum += exp((this.values[id] as number) - largest);
      return sum;
    });
    return { tokenIds, cumulative };
  }

  /** The largest value that is not NaN. −∞ if there is none. */
  #largestNumber(): number {
    return this.values.reduce((largest, z) => (z > largest ? z : largest), Number.NEGATIVE_INFINITY);
  }

  #keep(test: (z: number) => boolean): void {
    for (const [i, z] of this.values.entries()) {
      if (!Number.isNaN(z) && !test(z)) this.values[i] = Number.NEGATIVE_INFINITY;
    }
  }
}

/** Σ weight(z) as 8 partial sums by index mod 8. */
function partialSums(values: Float32Array, weight: (z: number) => number): number {
  const sums = new Float64Array(8);
  for (const [i, z] of values.entries()) sums[i & 7] = (sums[i & 7] as number) + weight(z);
  return sum8(sums);
}
