// The few statistics that the benchmarks need.
// @ts-check

/**
 * The percentile by nearest rank: the smallest number that at least this share of the numbers does not exceed.
 * @param {readonly number[]} numbers not empty
 * @param {number} share from 0 to 1
 */
export function percentile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return /** @type {number} */ (sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]);
}

/** @param {readonly number[]} numbers not empty */
export const median = (numbers) => percentile(numbers, 0.5);
