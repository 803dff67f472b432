// A record of a beam search's steps, for people who want to see how beams are kept and dropped. The search only writes it.
import type { ScoredToken } from "../kernels/logits-row.ts";
import { descending } from "../kernels/logits-row.ts";

export interface TracedCandidate {
  /** Index of a beam of the step before. */
  readonly parent: number;
  readonly tokenId: number;
  /** Sum of the log-probabilities of its new tokens. */
  readonly score: number;
}

export interface BeamStepTrace {
  /** The beams after this step, by index. */
  readonly beams: readonly TracedCandidate[];
  /** Candidates that ended. `normalised`: the score by which texts are ranked. `isKept`: it is among the best so far. */
  readonly ended: readonly (TracedCandidate & { readonly normalised: number; readonly isKept: boolean })[];
  /** The best of the candidates that were not taken. */
  readonly dropped: readonly TracedCandidate[];
  /** For each beam: the tokens that processors banned, with their log-probabilities, the likeliest first. */
  readonly banned: readonly { readonly beam: number; readonly tokens: readonly ScoredToken[] }[];
}

/** How many banned tokens of a beam are recorded. */
const BANNED_MAX = 20;

/** The likeliest of the tokens that are banned in `after` and not in `before`. Both are [vocab]. */
export function bannedTokens(before: Float32Array, after: Float32Array): ScoredToken[] {
  const tokens: ScoredToken[] = [];
  for (const [tokenId, value] of before.entries()) {
    if (after[tokenId] === Number.NEGATIVE_INFINITY && value > Number.NEGATIVE_INFINITY) {
      tokens.push({ tokenId, value });
    }
  }
  return tokens.sort((a, b) => descending(a.value, b.value)).slice(0, BANNED_MAX);
}
