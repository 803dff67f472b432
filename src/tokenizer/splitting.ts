// Splits a text at matches in each of the five ways of `tokenizers`, which differ in what happens to the matches. Empty pieces
// are always dropped.
import type { FindMatches } from "./pattern/find.ts";
import type { Pieces, Work } from "./work.ts";

/** Cuts one piece into several. */
export type Splitter = (text: string, work: Work) => Pieces;

interface Segment {
  readonly start: number;
  readonly end: number;
  readonly isMatch: boolean;
}

type Segments = Generator<Segment | undefined, void>;

/** The whole text as matches and the parts between them; `invert` swaps the two. */
function* segmentsOf(find: FindMatches, invert: boolean, text: string, work: Work): Segments {
  let done = 0;
  for (const match of find(text, work)) {
    if (match === undefined) {
      yield undefined;
      continue;
    }
    const [start, end] = match;
    if (start > done) yield { start: done, end: start, isMatch: invert };
    yield { start, end, isMatch: !invert };
    done = end;
  }
  if (done < text.length) yield { start: done, end: text.length, isMatch: invert };
}

/** Whether a segment is joined to the previous one. */
type Joins = (before: Segment, segment: Segment) => boolean;

const JOINS = {
  Isolated: () => false,
  Removed: () => false,
  Contiguous: (before, segment) => before.isMatch === segment.isMatch,
  MergedWithPrevious: (before, segment) => segment.isMatch && !before.isMatch,
  MergedWithNext: (before, segment) => before.isMatch && !segment.isMatch,
} as const satisfies Record<string, Joins>;

export type Behavior = keyof typeof JOINS;
export const BEHAVIORS = Object.keys(JOINS) as Behavior[];

/** Cuts at the matches of a pattern. */
export function splitAt(find: FindMatches, behavior: Behavior, invert = false): Splitter {
  const joins = JOINS[behavior];
  return function* (text, work) {
    let [start, end] = [0, 0]; // The piece that may still grow.
    let before: Segment | undefined;
    for (const segment of segmentsOf(find, invert, text, work)) {
      if (segment === undefined) {
        yield undefined;
        continue;
      }
      if (behavior === "Removed" && segment.isMatch) {
        if (end > start) yield text.slice(start, end);
        [start, end] = [segment.end, segment.end];
        continue;
      }
      if (before === undefined || !joins(before, segment)) {
        if (end > start) yield text.slice(start, end);
        start = segment.start;
      }
      end = segment.end;
      before = segment;
    }
    if (end > start) yield text.slice(start, end);
  };
}

/** Chains splitters: each works on the pieces of the one before. */
export function inTurn(splitters: readonly Splitter[]): Splitter {
  const [first, ...others] = splitters;
  if (first === undefined) {
    return function* (text) {
      if (text !== "") yield text;
    };
  }
  if (others.length === 0) return first;
  const rest = inTurn(others);
  return function* (text, work) {
    for (const piece of first(text, work)) {
      if (piece === undefined) yield undefined;
      else yield* rest(piece, work);
    }
  };
}
