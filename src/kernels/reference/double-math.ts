// e^x and ln x in double precision, with the same bits on every machine. Probabilities of tokens are computed with them.
// `Math.exp` and `Math.log` may differ between JavaScript engines, so these use arithmetic only.

// ln 2 in two parts. The first one ends in zeros, so its product with a small integer is exact (fdlibm, e_exp.c).
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** 1.5 · 2^52. Adding and subtracting it rounds to the nearest integer, ties to even. */
const MAGIC = 6755399441055744;

/** Coefficients 1/n! of the exponential series, the highest first. Up to n = 13 is enough for |r| ≤ ln 2 / 2. */
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

/** e^x for x ≤ 0. 0 below −708. */
export function exp(x: number): number {
  if (!(x > -708)) return 0;
  const n = x * Math.LOG2E + MAGIC - MAGIC;
  const r = x - n * LN2_HIGH - n * LN2_LOW;
  let sum = 0;
  for (const coefficient of INVERSE_FACTORIALS) sum = sum * r + coefficient;
  return sum * (POWERS[-n] as number);
}

/** Natural logarithm: ln(m·2^n) = n·ln 2 + 2·artanh((m−1)/(m+1)), m between √½ and √2. */
export function log(x: number): number {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return Math.log(x); // −∞, ∞ or NaN, on every machine
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

/** Adds 8 partial sums (by index mod 8) in one fixed tree: 8 → 4 → 2 → 1. */
export function sum8(s: Float64Array): number {
  const four = (i: number): number => (s[i] as number) + (s[i + 4] as number);
  return four(0) + four(2) + (four(1) + four(3));
}
