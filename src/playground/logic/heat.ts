// Maps how likely a token was to one of seven steps, which are shown as a tint and a line. Seven steps can be named, compared and told
// apart by lightness alone, unlike a continuous scale. The style sheet has the colours.
import type { TracedToken } from "../../dialects/playground/events.ts";

export const MEASURES = {
  probability: "Probability",
  surprise: "Surprise",
  rank: "Rank",
  none: "No colour",
} as const;

export type Measure = keyof typeof MEASURES;

/** From expected (0) to very unexpected (6). */
export type Step = 0 | 1 | 2 | 3 | 4 | 5 | 6;

/** The bounds of the steps. A token has the first step whose bound it meets; the last step is the rest. */
const PROBABILITIES = [0.5, 0.25, 0.1, 0.03, 0.01, 0.001];
const BITS = [1, 2, 4, 6, 8, 11];
const RANKS = [1, 3, 10, 30, 100, 1000];

/** The meaning of each step, for the legend. */
export const LEGENDS: Record<Exclude<Measure, "none">, readonly string[]> = {
  probability: ["≥ 50 %", "≥ 25 %", "≥ 10 %", "≥ 3 %", "≥ 1 %", "≥ 0.1 %", "less"],
  surprise: ["≤ 1 bit", "≤ 2", "≤ 4", "≤ 6", "≤ 8", "≤ 11", "more"],
  rank: ["1st", "≤ 3", "≤ 10", "≤ 30", "≤ 100", "≤ 1000", "beyond"],
};

/** The step of a token; undefined if its number is not known. */
export function stepOf(token: Pick<TracedToken, "logprob" | "rank">, measure: Measure): Step | undefined {
  const { logprob, rank } = token;
  if (measure === "rank") return rank === undefined ? undefined : place(RANKS, (bound) => rank <= bound);
  if (measure === "none" || logprob === null) return undefined;
  const probability = Math.exp(logprob);
  if (measure === "surprise") return place(BITS, (bound) => surpriseBits(logprob) <= bound);
  return place(PROBABILITIES, (bound) => probability >= bound);
}

function place(bounds: readonly number[], isIn: (bound: number) => boolean): Step {
  const found = bounds.findIndex(isIn);
  return (found < 0 ? bounds.length : found) as Step;
}

/** −log2 p. */
export function surpriseBits(logprob: number): number {
  return logprob === 0 ? 0 : -logprob / Math.LN2;
}

/** A probability as percent with three significant digits, or without digits if it rounds to 0. */
export function percent(probability: number): string {
  const value = probability * 100;
  if (value === 0) return "0 %";
  if (value < 0.001) return "< 0.001 %";
  if (value > 99.95 && value < 100) return "> 99.9 %";
  return `${Number(value.toPrecision(value >= 10 ? 3 : 2))} %`;
}
