// Seeds: how many there are, and what an integer that a client of another dialect sends as one stands for.
import { z } from "zod";

/** They are the integers from 0 to this number less one. */
export const SEEDS = 2 ** 32;

/** Any integer, for dialects whose clients send all sorts of them. */
export const anySeed = z
  .int()
  .min(Number.MIN_SAFE_INTEGER)
  .optional()
  .describe("Modulo 2^32; -1 takes a fresh one.");

/** The seed that such an integer stands for. */
export function seedOf(sent: number | undefined, fresh: () => number): number {
  return sent === undefined || sent === -1 ? fresh() : ((sent % SEEDS) + SEEDS) % SEEDS;
}

/** The seed of number `index` of several prompts that are sent together: they count up. */
export function seedOfPrompt(seed: number, index: number): number {
  return (seed + index) % SEEDS;
}
