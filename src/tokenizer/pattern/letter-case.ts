// Letters in `(?i:…)`. A set gains the other case of its ASCII letters, and the two characters beyond ASCII that equal one of
// them when case is ignored: ſ for s, and the Kelvin sign for k. Patterns that would need more are refused.
import {
  type Bounds,
  boundsOf,
  CodePointSet,
  complement,
  intersection,
  union,
} from "../unicode/code-point-set.ts";
import { lowerCasePairs } from "../unicode/lower-case.ts";
import { PatternError } from "./syntax.ts";

const EQUAL_TO: readonly (readonly [ascii: number, other: number])[] = [
  [0x73, 0x17f], // s, ſ
  [0x6b, 0x212a], // k, K
];
/** Characters that equal two or three of ASCII, as ß equals ss. This code cannot match one character with several. */
const MERGED = /ss|ff|fi|fl|st/i;

/** A set without regard to case. @throws PatternError for a set that distinguishes case beyond ASCII */
export function ignoringCase(bounds: Bounds): Bounds {
  const has = (code: number): boolean => intersection(bounds, [code, code + 1]).length > 0;
  const added: number[] = [];
  for (let small = 0x61; small <= 0x7a; small++) {
    const large = small - 0x20;
    const equal = [small, large, ...EQUAL_TO.flatMap(([ascii, other]) => (ascii === small ? [other] : []))];
    if (equal.some(has)) added.push(...equal);
  }
  const closed = union(bounds, boundsOf(...added));
  const beyond = intersection(closed, complement([0, 0x80], boundsOf(...EQUAL_TO.map(([, other]) => other))));
  if (beyond.length > 0 && tellsCasesApart(beyond)) {
    throw new PatternError("(?i) with letters beyond ASCII");
  }
  return closed;
}

function tellsCasesApart(bounds: Bounds): boolean {
  const set = new CodePointSet(bounds);
  for (const [large, small] of lowerCasePairs()) {
    if (large >= 0x80 && small >= 0x80 && set.has(large) !== set.has(small)) return true;
  }
  return false;
}

/** @throws PatternError for a word of which one character could match a part, as ß could match ss */
export function checkWord(word: string): void {
  if (MERGED.test(word)) throw new PatternError(`(?i) with ${MERGED.exec(word)![0]}`);
}
