// Decides how many guesses of each sequence a pass tries. Pure arithmetic on counts, probabilities and times of passes; it
// knows neither tokens nor pages. Guesses only get rows that nothing else needs, and a request without guesses is slowed down
// by a limited amount.

/** A sequence with guesses. `chances[i]`: the probability that its guesses 0 to i are all right. */
export interface Candidate {
  /** The request it belongs to, as an index into `numSequences`. */
  readonly request: number;
  readonly chances: readonly number[];
}

export interface PlannedPass {
  /** Rows without guesses. */
  readonly rows: number;
  /** Rows left for guesses. */
  readonly room: number;
  /** For each request in the pass: how many of its sequences get a token. 0 while its prompt is computed. */
  readonly numSequences: readonly number[];
}

/** Guesses are tried only if they promise at least this factor more tokens per second. Less is within the noise of timings. */
const GAIN_MIN = 1.05;
/** The factor by which a request may get slower than without guesses, with its own accepted guesses taken into account. */
const SLOWDOWN_MAX = 1.1;
/** Guesses with a lower probability are not tried. */
const CHANCE_MIN = 0.05;

/**
 * For each candidate the number of guesses to try, so that the expected number of tokens per second is greatest. `timeOf`
 * predicts the time of a pass from its number of rows.
 */
export function planGuesses(
  candidates: readonly Candidate[],
  { rows, room, numSequences }: PlannedPass,
  timeOf: (rows: number) => number,
): number[] {
  const counts = candidates.map(() => 0);
  const expected = [...numSequences];
  const timeWithout = timeOf(rows);
  let numExpected = numSequences.reduce((sum, count) => sum + count, 0);
  let best = [...counts];
  let bestRate = (GAIN_MIN * numExpected) / timeWithout;
  for (let tried = 1; tried <= room; tried++) {
    const next = likeliest(candidates, counts);
    if (next === undefined) break;
    const { request, chances } = candidates[next] as Candidate;
    const chance = chances[counts[next] as number] as number;
    counts[next] = (counts[next] as number) + 1;
    expected[request] = (expected[request] as number) + chance;
    numExpected += chance;
    const time = timeOf(rows + tried);
    if (numExpected / time < bestRate) continue;
    const gains = expected.map((count, i) => (numSequences[i] ? count / numSequences[i] : 1));
    if (time > SLOWDOWN_MAX * timeWithout * Math.min(...gains)) continue;
    best = [...counts];
    bestRate = numExpected / time;
  }
  return best;
}

/** The candidate whose next guess is the likeliest. Undefined: none that is left is likely enough. */
function likeliest(candidates: readonly Candidate[], counts: readonly number[]): number | undefined {
  let best: number | undefined;
  let most = CHANCE_MIN;
  for (const [i, { chances }] of candidates.entries()) {
    const chance = chances[counts[i] as number] ?? 0;
    if (chance <= most) continue;
    best = i;
    most = chance;
  }
  return best;
}
