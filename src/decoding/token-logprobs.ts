// Log-probabilities of tokens: natural logarithms of the model's own distribution, before any processor. They are read from a
// row before it is changed. The command `score` computes the same doubles.
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { ChoiceTrace } from "./choice-trace.ts";
import type { DecodingParams } from "./decoding-params.ts";

export interface TokenLogprob {
  readonly tokenId: number;
  readonly logprob: number;
}

/** The log-probabilities at one position of a sequence. */
export interface TokenLogprobs {
  /** Log-probability of the token at this position. */
  readonly logprob: number;
  /** The most likely tokens of the row, best first, the lower id first on a tie. The token itself need not be among them. */
  readonly top: readonly TokenLogprob[];
  /** With a trace: the token's rank in its row, from 1. On a tie the lower id comes first. */
  readonly rank?: number;
  /** With a trace: how a new token was chosen. */
  readonly choice?: ChoiceTrace;
}

export interface LogprobOptions {
  /** How many of the most likely tokens to return. */
  readonly numTop: number;
  readonly hasRank: boolean;
}

/** The log-probabilities of one token, from an unchanged row. */
export function logprobsOf(row: LogitsRow, tokenId: number, options: LogprobOptions): TokenLogprobs {
  return lookUp(row, row.values, options)(tokenId);
}

/**
 * Returns a function that gives the log-probabilities of any token of the row. It works on a copy, so the row may be changed
 * before it is called. A token with the logit −∞ has the log-probability −∞.
 */
export function readLogprobs(row: LogitsRow, options: LogprobOptions): (tokenId: number) => TokenLogprobs {
  return lookUp(row, row.values.slice(), options);
}

/** Whether numbers made with `known` contain everything that `wanted` asks for. */
export function includes(known: LogprobOptions, wanted: LogprobOptions): boolean {
  return known.numTop >= wanted.numTop && (known.hasRank || !wanted.hasRank);
}

/** Reduces log-probabilities to fewer options. The most likely tokens are sorted, so the first `numTop` are the same. */
export function reduced(logprobs: TokenLogprobs, { numTop, hasRank }: LogprobOptions): TokenLogprobs {
  const { logprob, top, rank } = logprobs;
  return { logprob, top: top.slice(0, numTop), ...(hasRank && rank !== undefined && { rank }) };
}

/** The options that a request asks for. Undefined: it wants no log-probabilities. */
export function logprobOptions({ logprobs, trace }: DecodingParams): LogprobOptions | undefined {
  return logprobs === undefined ? undefined : { numTop: logprobs, hasRank: trace === true };
}

/** `values`: the unchanged logits of the row, [vocab]. */
function lookUp(
  row: LogitsRow,
  values: Float32Array,
  { numTop, hasRank }: LogprobOptions,
): (tokenId: number) => TokenLogprobs {
  const total = row.logSumExp();
  const best = numTop > 0 ? row.topK(numTop) : [];
  const top = best.map(({ tokenId, value }) => ({ tokenId, logprob: value - total }));
  return (tokenId) => ({
    logprob: (values[tokenId] as number) - total,
    top,
    ...(hasRank && { rank: rankOf(values, tokenId) }),
  });
}

function rankOf(values: Float32Array, tokenId: number): number {
  const own = values[tokenId] as number;
  let rank = 1;
  for (const [id, value] of values.entries()) if (value > own || (value === own && id < tokenId)) rank++;
  return rank;
}
