// The Unicode classes that token ids depend on, by their names in regular expressions. They come from tables in this code
// (tables.ts), never from Node's `\p{…}`, because versions of Node know different characters and would split texts differently.
// The tables match Hugging Face's `tokenizers`.
import { type Bounds, boundsOf, difference, EVERYTHING, union } from "./code-point-set.ts";
import {
  CATEGORIES,
  CATEGORY_LETTERS,
  CATEGORY_NAMES,
  SCRIPTS,
  WHITE_SPACE,
  WORD,
  WORD_DIFFERENCE,
} from "./tables.ts";

/** Alternating numbers in base 36: how many code points are outside, then how many are inside. */
export function parseRanges(text: string): Bounds {
  const bounds: number[] = [];
  let end = 0;
  for (const number of text.split(" ")) {
    end += Number.parseInt(number, 36);
    bounds.push(end);
  }
  return bounds;
}

/** Runs of code points of one category: the length, unless it is one, and the category's letter. */
function parseCategories(): ReadonlyMap<string, Bounds> {
  const names = CATEGORY_NAMES.split(" ");
  const bounds = new Map<string, number[]>(names.map((name) => [name, []]));
  let start = 0;
  for (const [, length = "", letter = ""] of CATEGORIES.matchAll(/([0-9a-z]*)([^0-9a-z])/g)) {
    const end = start + (length === "" ? 1 : Number.parseInt(length, 36));
    bounds.get(names[CATEGORY_LETTERS.indexOf(letter)]!)!.push(start, end);
    start = end;
  }
  return bounds;
}

let categories: ReadonlyMap<string, Bounds> | undefined;

/** A general category ("Lu") or all that begin with a letter ("L"). */
export function category(name: string): Bounds {
  categories ??= parseCategories();
  return union(...[...categories].filter(([own]) => own.startsWith(name)).map(([, bounds]) => bounds));
}

/**
 * The class of a `\p{…}`: a category or a script, by its short or its long name, written as anybody likes to.
 * Undefined for a name that is not known.
 */
export function classNamed(name: string): Bounds | undefined {
  const plain = (text: string): string => text.replaceAll(/[ _-]/g, "").toLowerCase();
  const key = plain(name);
  if (key === "any") return EVERYTHING;
  const letters = LONG_NAMES[key] ?? `${key.charAt(0).toUpperCase()}${key.slice(1)}`;
  if (letters.length <= 2 && letters !== "") {
    const bounds = category(letters);
    if (bounds.length > 0) return bounds;
  }
  const script = Object.keys(SCRIPTS).find((known) => plain(known) === key);
  return script === undefined ? undefined : parseRanges(SCRIPTS[script]!);
}

const LONG_NAMES: Readonly<Record<string, string>> = {
  letter: "L",
  uppercaseletter: "Lu",
  lowercaseletter: "Ll",
  titlecaseletter: "Lt",
  modifierletter: "Lm",
  otherletter: "Lo",
  mark: "M",
  nonspacingmark: "Mn",
  spacingmark: "Mc",
  enclosingmark: "Me",
  number: "N",
  decimalnumber: "Nd",
  letternumber: "Nl",
  othernumber: "No",
  punctuation: "P",
  symbol: "S",
  separator: "Z",
  other: "C",
};

/** `\s`. JavaScript's own includes U+FEFF and lacks U+0085. */
export const whiteSpace = (): Bounds => parseRanges(WHITE_SPACE);

/** Word characters for finding added tokens. */
export const wordCharacters = (): Bounds => parseRanges(WORD);

/** `\w` of a regular expression, which differs from the above in a few characters. */
export const patternWordCharacters = (): Bounds =>
  difference(parseRanges(WORD), parseRanges(WORD_DIFFERENCE));

/** `\d`. */
export const decimalDigits = (): Bounds => category("Nd");

/** `\h`. */
export const hexDigits = (): Bounds => boundsOf([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);
