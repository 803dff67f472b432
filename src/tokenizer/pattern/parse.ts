// Parses a regular expression into a tree (syntax.ts). Unknown syntax is refused by name, since a misread pattern would silently
// give other token ids.
import { type Bounds, boundsOf, complement } from "../unicode/code-point-set.ts";
import { checkWord, ignoringCase } from "./letter-case.ts";
import { parseClass, parseEscape } from "./parse-class.ts";
import { Reader } from "./reader.ts";
import { type Node, PatternError, type Place } from "./syntax.ts";

const NEWLINE = boundsOf(0x0a);
const PLACES: Readonly<Record<string, Place>> = {
  A: "start",
  z: "end",
  Z: "lastLineEnd",
  b: "word",
  B: "notWord",
};
/** The deepest nesting of groups; each level costs stack. */
const DEPTH_MAX = 100;
/** The highest repetition count, far above any tokenizer's. */
const COUNT_MAX = 1000;

interface Options {
  readonly ignoreCase: boolean;
  /** A dot matches the end of a line too. */
  readonly dotAll: boolean;
}

/** @throws PatternError that names what cannot be read */
export function parsePattern(text: string): Node {
  const parser = new Parser(new Reader(text));
  return parser.parse();
}

class Parser {
  readonly #reader: Reader;
  #depth = 0;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  parse(): Node {
    const node = this.#options({ ignoreCase: false, dotAll: false });
    if (this.#reader.isAtEnd) return node;
    throw new PatternError("a ) without its (");
  }

  /** Up to the end of the group. */
  #options(options: Options): Node {
    if (++this.#depth > DEPTH_MAX) throw new PatternError(`more than ${DEPTH_MAX} groups within each other`);
    const found: Node[] = [];
    do found.push(this.#sequence(options));
    while (this.#reader.take("|"));
    this.#depth--;
    return found.length === 1 ? found[0]! : { kind: "options", options: found };
  }

  #sequence(options: Options): Node {
    const reader = this.#reader;
    const items: Node[] = [];
    let word = "";
    while (!reader.isAtEnd && !reader.startsWith("|") && !reader.startsWith(")")) {
      // "(?i)" applies to the end of the group, alternatives included.
      const set = reader.takeMatch(/^\(\?([imx]*)(?:-([imx]+))?\)/);
      if (set) {
        items.push(this.#options(withOptions(options, set)));
        break;
      }
      const char = reader.takeMatch(/^[A-Za-z]/)?.[0];
      if (char !== undefined) {
        const bounds = boundsOf(char.charCodeAt(0));
        word += char;
        if (options.ignoreCase) checkWord(word);
        items.push(
          this.#repeated({ kind: "set", bounds: options.ignoreCase ? ignoringCase(bounds) : bounds }),
        );
        continue;
      }
      word = "";
      items.push(this.#repeated(this.#atom(options)));
    }
    return items.length === 1 ? items[0]! : { kind: "sequence", items };
  }

  #atom(options: Options): Node {
    const reader = this.#reader;
    const char = reader.next();
    const set = (bounds: Bounds): Node => ({
      kind: "set",
      bounds: options.ignoreCase ? ignoringCase(bounds) : bounds,
    });
    switch (char) {
      case "(":
        return this.#group(options);
      case "[":
        return {
          kind: "set",
          bounds: parseClass(reader, options.ignoreCase ? ignoringCase : (bounds) => bounds),
        };
      case ".":
        return { kind: "set", bounds: options.dotAll ? complement() : complement(NEWLINE) };
      case "^":
        return { kind: "place", place: "lineStart" };
      case "$":
        return { kind: "place", place: "lineEnd" };
      case "\\": {
        const letter = reader.next();
        const place = PLACES[letter];
        return place === undefined ? set(parseEscape(letter, reader)) : { kind: "place", place };
      }
      case "*":
      case "+":
      case "?":
        throw new PatternError(`a ${char} with nothing before it`);
      default:
        return set(boundsOf(char.codePointAt(0)!));
    }
  }

  /** A group; its `(` is taken already. */
  #group(options: Options): Node {
    const reader = this.#reader;
    if (reader.take("?#")) {
      while (reader.next() !== ")");
      return { kind: "sequence", items: [] };
    }
    const head = reader.takeMatch(/^\?(?:([imx]*)(?:-([imx]+))?:|>|=|!|<=|<!)/);
    if (head === undefined && reader.startsWith("?")) {
      throw new PatternError(`(${reader.takeMatch(/^\?<?[^)]{0,10}/)?.[0] ?? "?"}`);
    }
    const item = this.#options(head?.[0].endsWith(":") ? withOptions(options, head) : options);
    if (!reader.take(")")) throw new PatternError("a ( without its )");
    switch (head?.[0]) {
      case "?>":
        return { kind: "atomic", item };
      case "?=":
      case "?!":
        return { kind: "ahead", item, isNegative: head[0] === "?!" };
      case "?<=":
      case "?<!":
        if (item.kind !== "set") throw new PatternError("a look behind at more than one character");
        return { kind: "behind", bounds: item.bounds, isNegative: head[0] === "?<!" };
      default:
        return item;
    }
  }

  /** An item with all the quantifiers behind it. */
  #repeated(item: Node): Node {
    let node = item;
    for (;;) {
      const match = this.#reader.takeMatch(/^(?:([*+?])([?+]?)|\{(\d+)?(,?)(\d+)?\}(\??))/);
      if (match === undefined) return node;
      const [text, sign, how = "", low, comma, high, lazy = ""] = match;
      if (sign === undefined && low === undefined && high === undefined) throw new PatternError(text);
      const [min, max] = sign === undefined ? counts(low, comma, high, lazy) : SIGNS[sign]!;
      const repeat: Node = { kind: "repeat", item: node, min, max, lazy: how === "?" || lazy === "?" };
      node = how === "+" ? { kind: "atomic", item: repeat } : repeat;
    }
  }
}

const SIGNS: Readonly<Record<string, readonly [min: number, max: number]>> = {
  "*": [0, Number.POSITIVE_INFINITY],
  "+": [1, Number.POSITIVE_INFINITY],
  "?": [0, 1],
};

/** @throws PatternError for counts that are too high, or that `?` gives another meaning than "as few as possible" */
function counts(low = "0", comma = "", high = "", lazy = ""): readonly [min: number, max: number] {
  const min = Number(low);
  const max = high === "" ? (comma === "" ? min : Number.POSITIVE_INFINITY) : Number(high);
  const counted = max === Number.POSITIVE_INFINITY ? min : max;
  if (counted > COUNT_MAX || max < min || (comma === "" && lazy !== ""))
    throw new PatternError(`{${low}${comma}${high}}${lazy}`);
  return [min, max];
}

function withOptions(options: Options, [, on = "", off = ""]: RegExpExecArray): Options {
  if (on.includes("x") || off.includes("x")) throw new PatternError("(?x)");
  const isSet = (letter: string, before: boolean): boolean =>
    on.includes(letter) || (before && !off.includes(letter));
  return { ignoreCase: isSet("i", options.ignoreCase), dotAll: isSet("m", options.dotAll) };
}
