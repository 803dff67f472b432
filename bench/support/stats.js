// The few statistics that the benches need. Nothing here measures.
// @ts-check

/**
 * The smallest of the numbers that at least this share of them does not exceed (nearest rank).
 * @param {readonly number[]} numbers not empty
 * @param {number} share from 0 to 1
 */
export function percentile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return /** @type {number} */ (sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]);
}

/** @param {readonly number[]} numbers not empty */
export const median = (numbers) => percentile(numbers, 0.5);
