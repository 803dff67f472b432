// Goodness-of-fit tests for seeded draws. Each returns the p-value: the probability that a fair source deviates at least as much.
// Seeds are fixed, so a test that passes once passes always.

/**
 * The smallest accepted p-value. There are about a hundred comparisons, and their seeds were not selected. So with 1e-4 the chance
 * of a false alarm is about 1 % if all seeds are changed.
 */
export const UNLIKELY = 1e-4;

/** Cells that expect fewer draws are merged, because the statistics are only asymptotically right. */
const EXPECTED_MIN = 5;

/**
 * Upper tail of the chi-square distribution with `degrees` degrees of freedom: the regularised incomplete gamma
 * function Q(degrees / 2, x / 2), by its series or its continued fraction (Abramowitz and Stegun 6.5.29, 6.5.31).
 */
export function chiSquareTail(x: number, degrees: number): number {
  const [a, z] = [degrees / 2, x / 2];
  if (z <= 0) return 1;
  const scale = Math.exp(a * Math.log(z) - z - logGamma(a));
  if (z < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = a + 1; term > sum * 1e-15; n++) sum += term *= z / n;
    return Math.max(0, 1 - scale * sum);
  }
  let fraction = 0;
  for (let n = 500; n >= 1; n--) fraction = (n * (n - a)) / (z + 2 * n + 1 - a - fraction);
  return scale / (z + 1 - a - fraction);
}

/** ln Γ(x) for x > 0, by Stirling's series after shifting x above 10. */
function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  for (; y < 10; y++) shift += Math.log(y);
  const series = 1 / (12 * y) - 1 / (360 * y ** 3) + 1 / (1260 * y ** 5);
  return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series - shift;
}

/** Observed and expected counts, with small cells merged. */
function cells(observed: readonly number[], expected: readonly number[]): [o: number, e: number][] {
  const order = [...expected.keys()].sort((a, b) => (expected[b] as number) - (expected[a] as number));
  const merged: [number, number][] = [];
  for (const i of order) {
    const last = merged.at(-1);
    const [o, e] = [observed[i] as number, expected[i] as number];
    if (last && (e < EXPECTED_MIN || last[1] < EXPECTED_MIN))
      merged[merged.length - 1] = [last[0] + o, last[1] + e];
    else merged.push([o, e]);
  }
  return merged;
}

/** Pearson's chi-square test and the G-test of counts against probabilities that sum to 1. Returns the smaller p-value. */
export function fitTail(observed: readonly number[], probabilities: readonly number[]): number {
  const total = observed.reduce((sum, n) => sum + n, 0);
  const merged = cells(
    observed,
    probabilities.map((p) => p * total),
  );
  const degrees = merged.length - 1;
  if (degrees === 0) return 1;
  const chiSquare = merged.reduce((sum, [o, e]) => sum + (o - e) ** 2 / e, 0);
  const g = 2 * merged.reduce((sum, [o, e]) => sum + (o > 0 ? o * Math.log(o / e) : 0), 0);
  return Math.min(chiSquareTail(chiSquare, degrees), chiSquareTail(g, degrees));
}

/** Chi-square test that the two members of pairs, each from 0 to size−1, are independent. */
export function independenceTail(pairs: readonly (readonly [number, number])[], size: number): number {
  const table = Array.from({ length: size }, () => new Array<number>(size).fill(0));
  for (const [a, b] of pairs) (table[a] as number[])[b] = (table[a]?.[b] ?? 0) + 1;
  const rows = table.map((row) => row.reduce((sum, n) => sum + n, 0));
  const columns = rows.map((_, b) => table.reduce((sum, row) => sum + (row[b] as number), 0));
  let statistic = 0;
  for (const [a, row] of table.entries()) {
    for (const [b, count] of row.entries()) {
      const expected = ((rows[a] as number) * (columns[b] as number)) / pairs.length;
      if (expected > 0) statistic += (count - expected) ** 2 / expected;
    }
  }
  const used = (sums: number[]) => sums.filter((n) => n > 0).length;
  return chiSquareTail(statistic, (used(rows) - 1) * (used(columns) - 1));
}
