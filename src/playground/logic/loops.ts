// Finds the loop at the end of a text: a run of tokens that repeats, as often with greedy search.

export interface Loop {
  /** Index of the first token of the first of the equal runs. */
  readonly start: number;
  /** Number of tokens in one run. */
  readonly period: number;
  /** Number of whole runs. */
  readonly count: number;
}

const RUNS_MIN = 3;
/** Shorter repetitions, such as dots or a line of hyphens, are not loops. */
const TOKENS_MIN = 6;

/** The shortest run that the end of a text repeats at least three times. */
export function loopAtEnd(ids: readonly number[]): Loop | undefined {
  for (let period = 1; period * RUNS_MIN <= ids.length; period++) {
    let same = ids.length - 1;
    while (same - period >= 0 && ids[same] === ids[same - period]) same--;
    const length = ids.length - 1 - same + period;
    if (length >= Math.max(TOKENS_MIN, RUNS_MIN * period)) {
      return { start: ids.length - length, period, count: Math.floor(length / period) };
    }
  }
  return undefined;
}
