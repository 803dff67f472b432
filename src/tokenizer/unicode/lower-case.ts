// Lower case as in the normalizer Lowercase of `tokenizers`: letter by letter, from this software's own tables. JavaScript's
// `toLowerCase` depends on the version of Node, and treats the end of Greek words differently.
import { LOWER_CASE } from "./tables.ts";

/** The only letter that becomes two characters: i and a combining dot above. */
const CAPITAL_I_WITH_DOT = 0x130;

let pairs: ReadonlyMap<number, number> | undefined;

/** Capital → small, as code points. */
export function lowerCasePairs(): ReadonlyMap<number, number> {
  pairs ??= parse();
  return pairs;
}

/** Runs of letters at a distance of `step`, each with its small letter `by` further: gap to the previous run, count, step, by. */
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

/** The lower case of a character, or the character itself. */
export function lowerCaseOf(code: number): string {
  if (code === CAPITAL_I_WITH_DOT) return "i\u0307";
  return String.fromCodePoint(lowerCasePairs().get(code) ?? code);
}
