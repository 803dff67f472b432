// Seeds: their range, and how any integer that a client of another dialect sends becomes one.
import { z } from "zod";

/** Seeds are the integers from 0 to this number minus one. */
export const SEEDS = 2 ** 32;

/** Any integer, for dialects whose clients send negative and large ones too. */
export const anySeed = z
  .int()
  .min(Number.MIN_SAFE_INTEGER)
  .optional()
  .describe("Modulo 2^32; -1 takes a fresh one.");

/** The seed for such an integer. */
export function seedOf(sent: number | undefined, fresh: () => number): number {
  return sent === undefined || sent === -1 ? fresh() : ((sent % SEEDS) + SEEDS) % SEEDS;
}

/** The seed of prompt number `index` in a list: the seeds of a list count up. */
export function seedOfPrompt(seed: number, index: number): number {
  return (seed + index) % SEEDS;
}
