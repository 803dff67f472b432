// When a sequence of greedy search or sampling ends. Beam search has rules of its own.
import type { Hypothesis } from "./strategy.ts";

/** The hypothesis that ends with `tokenId`, if the sequence ends with it. */
export function finished(
  tokenIds: readonly number[],
  tokenId: number,
  eos: ReadonlySet<number>,
  maxLength: number,
): Hypothesis | undefined {
  if (eos.has(tokenId)) return { tokenIds: [...tokenIds, tokenId], finishReason: "stop" };
  if (tokenIds.length + 1 >= maxLength) return { tokenIds: [...tokenIds, tokenId], finishReason: "length" };
  return undefined;
}
