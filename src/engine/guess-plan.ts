// How many guesses of each sequence a pass tries. Pure arithmetic on counts, chances and times of passes: it knows neither
// tokens nor pages. Guesses get only rows that nobody else wants; a request that gains nothing is held up by little.

/** A sequence with guesses: how likely the first one is right, the first two, and so on. */
export interface Candidate {
  /** The request it belongs to, by its place in `numSequences`. */
  readonly request: number;
  readonly chances: readonly number[];
}

export interface PlannedPass {
  /** Rows without guesses. */
  readonly rows: number;
  /** Rows that are left for guesses. */
  readonly room: number;
  /** Of each request in the pass: sequences that get a token; 0 while its prompt is read. */
  readonly numSequences: readonly number[];
}

/** By how much more tokens a second must be expected. Less is not worth the noise of what was measured. */
const GAIN_MIN = 1.05;
/** By how much a request may be slower than without guesses, its own right ones counted in. */
const SLOWDOWN_MAX = 1.1;
/** Less likely ones are not tried. */
const CHANCE_MIN = 0.05;

/**
 * For each candidate the number of its guesses to try, so that most tokens a second are expected. `timeOf` tells what a pass of so
 * many rows takes.
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

/** The candidate whose next guess is likeliest; undefined when none is left that is likely enough. */
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
