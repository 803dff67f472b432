// A record of how a token was chosen: how many tokens each processor left, the probabilities after them, and the random number.
// It reads a row after the processors and changes nothing.
import type { Distribution } from "../kernels/logits-row.ts";
import type { FilterTrace } from "./processor-chain.ts";

export interface ChoiceTrace {
  readonly filters: readonly FilterTrace[];
  /** Probability of the chosen token after all processors. */
  readonly probability: number;
  /** The same for each token of `TokenLogprobs.top`. 0: a processor removed the token. */
  readonly topProbabilities: readonly number[];
  /** The random number u, and the chosen token's interval [low, high). The tokens' intervals fill [0, 1) in the order of ids. */
  readonly draw?: { readonly u: number; readonly low: number; readonly high: number };
}

/** `top`: the most likely tokens of the row. `u`: the random number, if one was drawn. */
export function traceChoice(
  tokenId: number,
  top: readonly { readonly tokenId: number }[],
  distribution: Distribution,
  filters: readonly FilterTrace[],
  u?: number,
): ChoiceTrace {
  const own = shareOf(distribution, tokenId);
  const topProbabilities = top.map((other) => {
    const { low, high } = shareOf(distribution, other.tokenId);
    return high - low;
  });
  return {
    filters,
    probability: own.high - own.low,
    topProbabilities,
    ...(u !== undefined && { draw: { u, ...own } }),
  };
}

/** A token's interval in [0, 1). Empty for a token that was removed. */
function shareOf({ tokenIds, cumulative }: Distribution, tokenId: number): { low: number; high: number } {
  let [low, high] = [0, tokenIds.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tokenIds[middle] as number) < tokenId) low = middle + 1;
    else high = middle;
  }
  if (tokenIds[low] !== tokenId) return { low: 0, high: 0 };
  const total = cumulative.at(-1) as number;
  return { low: (cumulative[low - 1] ?? 0) / total, high: (cumulative[low] as number) / total };
}
