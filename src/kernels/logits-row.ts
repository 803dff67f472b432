// One row of logits, [V], and the operations that turn it into a token. `reference/plain-logits-row.ts` defines them, to the
// bit. `host/wasm-logits-row.ts` does the same with vectors. The strategies in `decoding/` choose the operations.

export interface ScoredToken {
  readonly tokenId: number;
  readonly value: number;
}

/** The tokens that were not removed, in id order, and the running sums of their weights. The last sum is the total. */
export interface Distribution {
  readonly tokenIds: Int32Array;
  readonly cumulative: Float64Array;
}

/**
 * Operations change the row in place. A removed token has the value −∞. NaN ranks as −∞, so such a token is never chosen. But no
 * operation removes NaN, so that the error stays visible. A row and its results are valid until the next pass.
 */
export interface LogitsRow {
  readonly values: Float32Array;
  /** The largest value. NaN if any value is NaN. If it is not finite, all results of this row are meaningless. */
  largest(): number;
  /** The token with the largest value, the first one on a tie. 0 if all values are NaN. */
  argmax(): number;
  /** ln Σ e^value, in double precision. NaN if any value is NaN. */
  logSumExp(): number;
  /** Turns logits into log-probabilities, each rounded to f32. */
  logSoftmax(): void;
  /** Divides by `divisor`, rounded to f32. */
  divide(divisor: number): void;
  /** The `k` largest values, the largest first. On a tie the lower id is first. */
  topK(k: number): ScoredToken[];
  /** Keeps the `k` largest and all ties at the k-th place. */
  keepTopK(k: number): void;
  /**
   * Keeps a token if and only if the tokens ranked above it have less probability than `p` together, 0 < p. At least one stays.
   * Tokens of equal value are ranked by id, the lower one first.
   */
  keepTopP(p: number): void;
  /** Keeps a token if its probability is at least `m` times the largest one, 0 < m ≤ 1. */
  keepMinP(m: number): void;
  /** Weights are e^(value − largest). Valid until the next call of a method of any row. */
  distribution(): Distribution;
}

/** Compares for a sort with the largest first. NaN ranks as −∞. */
export function descending(a: number, b: number): number {
  const [x, y] = [rank(a), rank(b)];
  if (x === y) return 0;
  return x > y ? -1 : 1;
}

function rank(value: number): number {
  return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
}

/** The `k` best tokens among `ids`, in the order of `LogitsRow.topK`. There must be at least `k` ids. */
export function ranked(values: Float32Array, ids: Iterable<number>, k: number): ScoredToken[] {
  const found = Array.from(ids, (tokenId) => ({ tokenId, value: values[tokenId] as number }));
  found.sort((a, b) => descending(a.value, b.value) || a.tokenId - b.tokenId);
  return found.slice(0, k);
}
