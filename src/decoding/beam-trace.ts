// The steps of a beam search, for people who want to see how beams live and die. It is a record: the search does not read it.
import type { ScoredToken } from "../kernels/logits-row.ts";
import { descending } from "../kernels/logits-row.ts";

export interface TracedCandidate {
  /** Number of a beam of the step before. */
  readonly parent: number;
  readonly tokenId: number;
  /** Sum of the log-probabilities of its new tokens. */
  readonly score: number;
}

export interface BeamStepTrace {
  /** The beams that go on, by their number. */
  readonly beams: readonly TracedCandidate[];
  /** Candidates that ended. `normalised`: the score that texts compete by; `isKept`: it is among the best so far. */
  readonly ended: readonly (TracedCandidate & { readonly normalised: number; readonly isKept: boolean })[];
  /** The best candidates that did not go on. */
  readonly dropped: readonly TracedCandidate[];
  /** Tokens that processors forbade to a beam, the likeliest first, with their log-probabilities. */
  readonly banned: readonly { readonly beam: number; readonly tokens: readonly ScoredToken[] }[];
}

/** So many banned tokens of a beam are told. */
const BANNED_MAX = 20;

/** The likeliest tokens of `before`, [vocab], that are out in `after`. */
export function bannedTokens(before: Float32Array, after: Float32Array): ScoredToken[] {
  const tokens: ScoredToken[] = [];
  for (const [tokenId, value] of before.entries()) {
    if (after[tokenId] === Number.NEGATIVE_INFINITY && value > Number.NEGATIVE_INFINITY) {
      tokens.push({ tokenId, value });
    }
  }
  return tokens.sort((a, b) => descending(a.value, b.value)).slice(0, BANNED_MAX);
}
