// Letters in `(?i:…)`. A set gets the other case of its ASCII letters, and the two characters beyond ASCII that are equal
// to one of them: ſ to s and the Kelvin sign to k. Whatever would need more is refused.
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
/** One character that is equal to two or three of ASCII: ß is ss. Nothing here can match one with several. */
const MERGED = /ss|ff|fi|fl|st/i;

/** A set, whatever the case. @throws PatternError for a set that tells cases apart beyond ASCII */
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

/** @throws PatternError for a word that one character could stand for a part of */
export function checkWord(word: string): void {
  if (MERGED.test(word)) throw new PatternError(`(?i) with ${MERGED.exec(word)![0]}`);
}
