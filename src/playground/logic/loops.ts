// Greedy search falls into loops: the same run of tokens again and again. Finds the one that a text ends in.

export interface Loop {
  /** Index of the token where the first of the equal runs begins. */
  readonly start: number;
  /** Tokens of one run. */
  readonly period: number;
  /** Whole runs. */
  readonly count: number;
}

const RUNS_MIN = 3;
/** Shorter repeats are ordinary: dots, a line of hyphens. */
const TOKENS_MIN = 6;

/** The shortest run that fills the end of a text at least three times. */
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
