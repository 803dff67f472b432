// Pages of prompts whose tokens are scored. How likely the tokens of a full page are follows from the text up to its end, as its keys
// and values do, so it is kept with the page: prompts that begin alike are scored once.
import { includes, type LogprobOptions, reduced, type TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { PagePool } from "./page-pool.ts";
import type { Sequence } from "./sequence.ts";

/** What was found for a prompt. */
export interface FoundScores {
  /** Of the tokens behind those that were scored before. */
  readonly logprobs: readonly TokenLogprobs[];
  /** A page that is known and that the prompt computes anyway: see `takeScored`. */
  readonly ahead: number | undefined;
}

/**
 * Takes over pages that hold what a prompt owes next and whose tokens are scored in enough detail. The row of a page's last
 * position scores the first token behind it, and is not kept: so the last page that is found is computed again, for that row.
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
  // Known before: the token at `numComputed`, by the row before it. Known now: up to the first token of the page ahead.
  const known = numComputed === 0 ? 0 : 1;
  const last = sequence.numComputed;
  return { logprobs: found.length > 0 ? logprobs.slice(known, known + last - numComputed) : [], ahead };
}

/** Keeps with the pages that were filled since position `from` how likely their tokens are. `logprobs[i]` is of token i + 1. */
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
