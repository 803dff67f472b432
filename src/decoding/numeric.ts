// Numbers over one row of logits: pure functions of Float32Arrays, the same bits on every machine. `Math.exp` and
// `Math.log` may differ between JavaScript engines, so both are made here, in double precision, from arithmetic alone.

const LN2_HIGH = 0.6931471803691238; // ln 2 in two parts; the first has trailing zeros (fdlibm, e_exp.c).
const LN2_LOW = 1.9082149292705877e-10;

/** Coefficients 1/n! of the exponential series, highest first: 13 terms suffice for |r| ≤ ln 2 / 2. */
const INVERSE_FACTORIALS = (() => {
  const list = [1];
  for (let n = 1; n <= 13; n++) list.push((list[n - 1] as number) / n);
  return list.reverse();
})();

/** 2^−n for n = 0 … 1022. */
const POWERS = (() => {
  const list = Float64Array.of(...new Array(1023).fill(1));
  for (let n = 1; n < list.length; n++) list[n] = (list[n - 1] as number) / 2;
  return list;
})();

/** e^x for x ≤ 0 in double precision; 0 below −708. */
export function exp(x: number): number {
  if (!(x > -708)) return 0;
  const n = Math.round(x * Math.LOG2E);
  const r = x - n * LN2_HIGH - n * LN2_LOW;
  let sum = 0;
  for (const coefficient of INVERSE_FACTORIALS) sum = sum * r + coefficient;
  return sum * (POWERS[-n] as number);
}

/** Natural logarithm of a positive number: ln(m·2^n) = n·ln 2 + 2·artanh((m−1)/(m+1)), m between √½ and √2. */
export function log(x: number): number {
  let n = 0;
  let m = x;
  for (; m > Math.SQRT2; n++) m /= 2;
  for (; m < Math.SQRT1_2; n--) m *= 2;
  const s = (m - 1) / (m + 1);
  const square = s * s;
  let sum = 0;
  for (let k = 23; k >= 1; k -= 2) sum = sum * square + 1 / k;
  return n * LN2_HIGH + (2 * s * sum + n * LN2_LOW);
}

/** Index of the largest value, the first one on a tie. Of a row without any finite value: 0. */
export function argmax(row: Float32Array): number {
  let best = 0;
  let largest = row[0] as number;
  for (let i = 1; i < row.length; i++) {
    const value = row[i] as number;
    if (value > largest) {
      largest = value;
      best = i;
    }
  }
  return best;
}

export function largestOf(row: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < row.length; i++) if ((row[i] as number) > largest) largest = row[i] as number;
  return largest;
}

/** ln Σ e^row, in double precision. */
export function logSumExp(row: Float32Array): number {
  const largest = largestOf(row);
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += exp((row[i] as number) - largest);
  return largest + log(sum);
}

/** Turns logits into log-probabilities in place, each rounded to f32. */
export function logSoftmax(row: Float32Array): void {
  const total = logSumExp(row);
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) - total;
}

/**
 * The k-th largest value, 1 ≤ k ≤ row.length: a heap of the k largest seen so far, smallest on top.
 */
export function kthLargest(row: Float32Array, k: number): number {
  const heap = row.slice(0, k);
  for (let i = (k >> 1) - 1; i >= 0; i--) siftDown(heap, i);
  for (let i = k; i < row.length; i++) {
    if ((row[i] as number) > (heap[0] as number)) {
      heap[0] = row[i] as number;
      siftDown(heap, 0);
    }
  }
  return heap[0] as number;
}

function siftDown(heap: Float32Array, start: number): void {
  const value = heap[start] as number;
  let at = start;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child += 1;
    if ((heap[child] as number) >= value) break;
    heap[at] = heap[child] as number;
    at = child;
  }
  heap[at] = value;
}

export interface Scored {
  readonly index: number;
  readonly value: number;
}

/** The `k` largest values, largest first, the lower index first on a tie. */
export function topK(row: Float32Array, k: number): Scored[] {
  const threshold = kthLargest(row, Math.min(k, row.length));
  const found: Scored[] = [];
  for (let index = 0; index < row.length; index++) {
    const value = row[index] as number;
    if (value >= threshold) found.push({ index, value });
  }
  found.sort((a, b) => descending(a.value, b.value) || a.index - b.index);
  return found.slice(0, k);
}

/** For sorting with the largest first; −∞ equals itself. */
export function descending(a: number, b: number): number {
  if (a === b) return 0;
  return a > b ? -1 : 1;
}
