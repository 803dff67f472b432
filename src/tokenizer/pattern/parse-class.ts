// Parses the parts of a regular expression that match one character: escapes such as `\p{L}` and classes such as `[^\s\d]`.
// All of them become sets of code points from this software's own tables.
import {
  classNamed,
  decimalDigits,
  hexDigits,
  patternWordCharacters,
  whiteSpace,
} from "../unicode/classes.ts";
import { type Bounds, boundsOf, complement, intersection, union } from "../unicode/code-point-set.ts";
import type { Reader } from "./reader.ts";
import { PatternError } from "./syntax.ts";

const CLASS_ESCAPES: Readonly<Record<string, () => Bounds>> = {
  s: whiteSpace,
  S: () => complement(whiteSpace()),
  d: decimalDigits,
  D: () => complement(decimalDigits()),
  w: patternWordCharacters,
  W: () => complement(patternWordCharacters()),
  h: hexDigits,
  H: () => complement(hexDigits()),
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27 };

/**
 * What stands after a backslash, if it is a set or a character; `letter` is taken already.
 * @throws PatternError
 */
export function parseEscape(letter: string, reader: Reader): Bounds {
  const set = CLASS_ESCAPES[letter];
  if (set) return set();
  const control = CONTROLS[letter];
  if (control !== undefined) return boundsOf(control);
  if (letter === "p" || letter === "P") return parseProperty(letter === "P", reader);
  if (letter === "x") return boundsOf(parseHex(reader, /^(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{1,2}))/));
  if (letter === "u") return boundsOf(parseHex(reader, /^([0-9A-Fa-f]{4})/));
  if (letter === "0") return boundsOf(Number.parseInt(reader.takeMatch(/^[0-7]{1,2}/)?.[0] ?? "0", 8));
  // An unknown letter or digit after a backslash is refused; any other character stands for itself.
  if (/^[0-9A-Za-z]$/.test(letter)) throw new PatternError(`\\${letter}`);
  return boundsOf(letter.codePointAt(0)!);
}

function parseHex(reader: Reader, form: RegExp): number {
  const [, first, second] = reader.takeMatch(form) ?? [];
  const code = Number.parseInt(first ?? second ?? "", 16);
  if (code <= 0x10ffff) return code;
  throw new PatternError("a character code that is none");
}

function parseProperty(isNegative: boolean, reader: Reader): Bounds {
  const [, caret, name = ""] = reader.takeMatch(/^\{(\^?)([^{}]*)\}/) ?? [];
  const bounds = classNamed(name);
  if (bounds === undefined) throw new PatternError(`\\p{${name}}`);
  return isNegative !== (caret === "^") ? complement(bounds) : bounds;
}

/**
 * A class; its `[` is taken already.
 * @throws PatternError
 */
export function parseClass(reader: Reader, close: (bounds: Bounds) => Bounds): Bounds {
  const isNegative = reader.take("^");
  let all: Bounds | undefined; // The intersection of the parts before "&&".
  let members: Bounds[] = [];
  for (let isFirst = true; isFirst || !reader.take("]"); isFirst = false) {
    if (reader.isAtEnd) throw new PatternError("a [ without its ]");
    if (reader.take("&&")) {
      all = all ? intersection(all, union(...members)) : union(...members);
      members = [];
      continue;
    }
    if (reader.startsWith("[:")) throw new PatternError("a class such as [:alpha:]");
    members.push(reader.take("[") ? parseClass(reader, close) : parseRange(reader));
  }
  const own = union(...members);
  const bounds = close(all ? intersection(all, own) : own);
  return isNegative ? complement(bounds) : bounds;
}

/** One member of a class, or a range. */
function parseRange(reader: Reader): Bounds {
  const first = parseMember(reader);
  const isRange = reader.startsWith("-") && !reader.startsWith("-]") && !reader.startsWith("-[");
  if (!isRange || reader.startsWith("-&&")) return first;
  reader.take("-");
  const last = parseMember(reader);
  const single =
    first.length === 2 && first[1]! - first[0]! === 1 && last.length === 2 && last[1]! - last[0]! === 1;
  // After a set such as \w a hyphen stands for itself.
  if (!single) return union(first, boundsOf(0x2d), last);
  if (last[0]! < first[0]!) throw new PatternError("a range that ends before it begins");
  return [first[0]!, last[1]!];
}

function parseMember(reader: Reader): Bounds {
  const char = reader.next();
  return char === "\\" ? parseEscape(reader.next(), reader) : boundsOf(char.codePointAt(0)!);
}
