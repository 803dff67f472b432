// One row of logits, [V], and the operations that turn it into a token. `reference/plain-logits-row.ts` is their
// definition, to the bit; `host/wasm-logits-row.ts` does the same on vectors. Which operations a mode needs is not
// decided here.

export interface ScoredToken {
  readonly tokenId: number;
  readonly value: number;
}

/** The tokens that are left, in id order, and the sums of their weights up to and with each; the last is the total. */
export interface Distribution {
  readonly tokenIds: Int32Array;
  readonly cumulative: Float64Array;
}

/**
 * Operations work in place; a token that is out has −∞. A value that is NaN is never chosen: it ranks as −∞ does. It is not
 * hidden either, since no operation takes it away. Rows and what they return hold until the next pass.
 */
export interface LogitsRow {
  readonly values: Float32Array;
  /** The largest value, NaN if any value is NaN: what is computed from a row means something only if this is finite. */
  largest(): number;
  /** The token with the largest value, the first one on a tie. Of a row that holds nothing but NaN: 0. */
  argmax(): number;
  /** ln Σ e^value, in double precision; NaN if any value is NaN. */
  logSumExp(): number;
  /** Turns logits into log-probabilities, each rounded to f32. */
  logSoftmax(): void;
  /** Divides by `divisor`, rounded to f32. */
  divide(divisor: number): void;
  /** The `k` largest, largest first, the lower id first on a tie. */
  topK(k: number): ScoredToken[];
  /** Keeps the `k` largest and all ties at the k-th place. */
  keepTopK(k: number): void;
  /**
   * Keeps a token if and only if the probability ranked above it is less than `p`, 0 < p; at least one stays. Tokens
   * of equal value are ranked by id, the lower one first.
   */
  keepTopP(p: number): void;
  /** Keeps a token if its probability is at least `m` times the largest one, 0 < m ≤ 1. */
  keepMinP(m: number): void;
  /** Weights are e^(value − largest). Holds until the next call of any row's method. */
  distribution(): Distribution;
}

/** For sorting with the largest first; NaN ranks as −∞ does. */
export function descending(a: number, b: number): number {
  const [x, y] = [rank(a), rank(b)];
  if (x === y) return 0;
  return x > y ? -1 : 1;
}

function rank(value: number): number {
  return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
}

/** The tokens of `ids`, at least `k`, as `LogitsRow.topK` wants them. */
export function ranked(values: Float32Array, ids: Iterable<number>, k: number): ScoredToken[] {
  const found = Array.from(ids, (tokenId) => ({ tokenId, value: values[tokenId] as number }));
  found.sort((a, b) => descending(a.value, b.value) || a.tokenId - b.tokenId);
  return found.slice(0, k);
}
