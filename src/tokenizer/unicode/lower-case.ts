// Capital letters to small ones, as the normalizer Lowercase of `tokenizers` has them: letter by letter, out of tables of
// this software's own. What JavaScript's `toLowerCase` does differs with Node's version, and at the end of Greek words.
import { LOWER_CASE } from "./tables.ts";

/** The only letter that becomes two characters, i and a dot above. */
const CAPITAL_I_WITH_DOT = 0x130;

let pairs: ReadonlyMap<number, number> | undefined;

/** Capital → small, as code points. */
export function lowerCasePairs(): ReadonlyMap<number, number> {
  pairs ??= parse();
  return pairs;
}

/** Runs of letters that lie `step` apart, whose small letters lie `by` further: gap to the run before, number, step, by. */
function parse(): ReadonlyMap<number, number> {
  const numbers = LOWER_CASE.split(" ").map((text) => Number.parseInt(text, 36));
  const found = new Map<number, number>();
  for (let i = 0, first = 0; i < numbers.length; i += 4) {
    const [gap, count, step, by] = numbers.slice(i, i + 4) as [number, number, number, number];
    first += gap;
    for (let k = 0; k < count; k++) found.set(first + k * step, first + k * step + by);
  }
  return found;
}

/** The small letter of a character, or itself. */
export function lowerCaseOf(code: number): string {
  if (code === CAPITAL_I_WITH_DOT) return "i\u0307";
  return String.fromCodePoint(lowerCasePairs().get(code) ?? code);
}
