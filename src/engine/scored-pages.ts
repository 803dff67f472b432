// Reuse of scores: the log-probabilities of a prompt's tokens. Those of a full page depend only on the text up to its end, like its
// keys and values. So they are kept with the page in the prefix cache, and prompts with the same beginning are scored once.
import { includes, type LogprobOptions, reduced, type TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { PagePool } from "./page-pool.ts";
import type { Sequence } from "./sequence.ts";

/** What the prefix cache had for a prompt. */
export interface FoundScores {
  /** The scores of the tokens after those that were known before. */
  readonly logprobs: readonly TokenLogprobs[];
  /** A cached page that the prompt has to compute anyway: see `takeScored`. */
  readonly ahead: number | undefined;
}

/**
 * Takes over the cached pages that hold the next tokens of a prompt, if they have scores in enough detail. The score of the first
 * token after a page comes from the row of the page's last position, and rows are not kept. So the last page found is computed
 * again, to get that row.
 */
export function takeScored(
  pool: PagePool,
  sequence: Sequence,
  pagePositions: number,
  wanted: LogprobOptions,
): FoundScores {
  const { tokenIds, pages, numComputed } = sequence;
  if (pages.length * pagePositions > numComputed) return { logprobs: [], ahead: undefined };
  const found: number[] = [];
  const logprobs: TokenLogprobs[] = [];
  for (let begin = numComputed; begin + pagePositions < tokenIds.length; begin += pagePositions) {
    const page = pool.find(found.at(-1) ?? pages.at(-1), tokenIds.slice(begin, begin + pagePositions));
    if (page === undefined) break;
    found.push(page);
    const scores = pool.scoresOf(page);
    if (scores === undefined || !includes(scores.options, wanted)) {
      pool.release(found.pop() as number);
      break;
    }
    logprobs.push(...scores.logprobs.map((each) => reduced(each, wanted)));
  }
  const ahead = found.pop();
  if (ahead !== undefined) pool.release(ahead);
  pages.push(...found);
  sequence.numComputed += found.length * pagePositions;
  // The score of the token at `numComputed` was known before, from the row before it. New are the scores after that, up to and
  // including the first token of the page ahead.
  const known = numComputed === 0 ? 0 : 1;
  const last = sequence.numComputed;
  return { logprobs: found.length > 0 ? logprobs.slice(known, known + last - numComputed) : [], ahead };
}

/** Keeps scores with the pages that were filled since position `from`. `logprobs[i]` belongs to token i + 1. */
export function keepScores(
  pool: PagePool,
  { pages, numComputed }: Sequence,
  { pagePositions, from }: { readonly pagePositions: number; readonly from: number },
  logprobs: readonly TokenLogprobs[],
  options: LogprobOptions,
): void {
  const numFull = Math.floor(numComputed / pagePositions);
  for (let i = Math.floor(from / pagePositions); i < numFull; i++) {
    const own = logprobs.slice(Math.max(0, i * pagePositions - 1), (i + 1) * pagePositions - 1);
    pool.keepScores(pages[i] as number, { options, logprobs: own });
  }
}
