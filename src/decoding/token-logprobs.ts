// How likely tokens were: natural logarithms of the model's own distribution, before any processor. They are read from a row
// before it is changed, and are the doubles that `score` gives.
import type { LogitsRow } from "../kernels/logits-row.ts";

export interface TokenLogprob {
  readonly tokenId: number;
  readonly logprob: number;
}

/** Of one token of a sequence. */
export interface TokenLogprobs {
  /** Of the token that stands there. */
  readonly logprob: number;
  /** The most likely tokens of its row, best first, lower id on a tie. It need not be among them. */
  readonly top: readonly TokenLogprob[];
}

/** Of one token, from a row as the model gave it, with its `numTop` most likely tokens. */
export function logprobsOf(row: LogitsRow, tokenId: number, numTop: number): TokenLogprobs {
  return lookUp(row, row.values, numTop)(tokenId);
}

/**
 * The same of any token of the row, which may be changed before they are asked for. Of a token whose logit is −∞ it is −∞.
 */
export function readLogprobs(row: LogitsRow, numTop: number): (tokenId: number) => TokenLogprobs {
  return lookUp(row, row.values.slice(), numTop);
}

/** `values`: those of the row, [vocab]. */
function lookUp(row: LogitsRow, values: Float32Array, numTop: number): (tokenId: number) => TokenLogprobs {
  const total = row.logSumExp();
  const best = numTop > 0 ? row.topK(numTop) : [];
  const top = best.map(({ tokenId, value }) => ({ tokenId, logprob: value - total }));
  return (tokenId) => ({ logprob: (values[tokenId] as number) - total, top });
}
