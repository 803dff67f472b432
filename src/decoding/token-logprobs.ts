// How likely tokens were: natural logarithms of the model's own distribution, before any processor. They are read from a row
// before it is changed, and are the doubles that `score` gives.
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { ChoiceTrace } from "./choice-trace.ts";
import type { DecodingParams } from "./decoding-params.ts";

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
  /** With a trace: the token's place in its row, from 1; of equal tokens the lower id comes first. */
  readonly rank?: number;
  /** With a trace: how a new token was chosen. */
  readonly choice?: ChoiceTrace;
}

export interface LogprobOptions {
  /** How many of the most likely tokens are told. */
  readonly numTop: number;
  readonly hasRank: boolean;
}

/** Of one token, from a row as the model gave it. */
export function logprobsOf(row: LogitsRow, tokenId: number, options: LogprobOptions): TokenLogprobs {
  return lookUp(row, row.values, options)(tokenId);
}

/**
 * The same of any token of the row, which may be changed before they are asked for. Of a token whose logit is −∞ it is −∞.
 */
export function readLogprobs(row: LogitsRow, options: LogprobOptions): (tokenId: number) => TokenLogprobs {
  return lookUp(row, row.values.slice(), options);
}

/** Whether `known` tells all that `wanted` asks for. */
export function includes(known: LogprobOptions, wanted: LogprobOptions): boolean {
  return known.numTop >= wanted.numTop && (known.hasRank || !wanted.hasRank);
}

/** What would have been told with fewer wishes: the most likely tokens are in order, so their beginning is the same. */
export function reduced(logprobs: TokenLogprobs, { numTop, hasRank }: LogprobOptions): TokenLogprobs {
  const { logprob, top, rank } = logprobs;
  return { logprob, top: top.slice(0, numTop), ...(hasRank && rank !== undefined && { rank }) };
}

/** What a request wants to know of its tokens; undefined: nothing. */
export function logprobOptions({ logprobs, trace }: DecodingParams): LogprobOptions | undefined {
  return logprobs === undefined ? undefined : { numTop: logprobs, hasRank: trace === true };
}

/** `values`: those of the row, [vocab]. */
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
