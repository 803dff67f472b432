// Splits text into the pieces in which GPT-2 looks for tokens: contractions, words, numbers and other runs, each with a space
// before it, and white space. It is the regular expression of GPT-2's release, written as a loop:
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// The loop takes letters, numbers and white space from this software's own tables, not from Node's. Its time depends only on
// the length of the text, and it can pause inside a piece of millions of letters. Source: encoder.py of GPT-2's release.

import { category, whiteSpace } from "./unicode/classes.ts";
import { CodePointSet } from "./unicode/code-point-set.ts";
import type { Pieces, Work } from "./work.ts";

const [OTHER, LETTER, NUMBER, WHITE_SPACE] = [0, 1, 2, 3];
const SPACE = 0x20;
const APOSTROPHE = 0x27;
/** Ends of contractions; those of one letter, and the first letters of those of two. */
const ENDINGS: Readonly<Record<string, string>> = { s: "", t: "", m: "", d: "", r: "e", v: "e", l: "l" };
/** UTF-16 units that are read between two checks of the remaining work. */
const STRIDE = 4096;

class Kinds {
  /** By code point of the first plane. */
  readonly #low = new Uint8Array(0x10000);
  readonly #letters = new CodePointSet(category("L"));
  readonly #numbers = new CodePointSet(category("N"));

  constructor() {
    const kinds = [
      [LETTER, category("L")],
      [NUMBER, category("N")],
      [WHITE_SPACE, whiteSpace()],
    ] as const;
    for (const [kind, bounds] of kinds) {
      for (let i = 0; i < bounds.length; i += 2) this.#low.fill(kind!, bounds[i]!, bounds[i + 1]!);
    }
  }

  at(text: string, index: number): number {
    const code = text.codePointAt(index)!;
    if (code < 0x10000) return this.#low[code]!;
    return this.#letters.has(code) ? LETTER! : this.#numbers.has(code) ? NUMBER! : OTHER!;
  }

  /** Where the characters of one kind end, or a little after `stop` at most. */
  endOfRun(text: string, kind: number, start: number, stop: number): number {
    let end = start;
    while (end < stop && this.at(text, end) === kind) end += text.codePointAt(end)! < 0x10000 ? 1 : 2;
    return end;
  }
}

let kinds: Kinds | undefined;

/** The pieces of a text, in order; nothing is left out. */
export function* gpt2Pieces(text: string, work: Work): Pieces {
  kinds ??= new Kinds();
  const { length } = text;
  for (let start = 0; start < length; ) {
    let end = start + contractionAt(text, start);
    if (end === start) {
      const takesSpace = text.charCodeAt(start) === SPACE && start + 1 < length;
      if (takesSpace && kinds.at(text, start + 1) !== WHITE_SPACE) end++;
      const kind = kinds.at(text, end);
      for (let stop = end; end >= stop && end < length; ) {
        if (work.left < 0) yield undefined;
        stop = Math.min(end + STRIDE, length);
        const from = end;
        end = kinds.endOfRun(text, kind, from, stop);
        work.left -= end - from;
      }
      // The last white space before another piece belongs to that piece, or stands alone.
      if (kind === WHITE_SPACE && end < length && end - start > 1) end--;
    }
    work.left--;
    yield text.slice(start, end);
    start = end;
  }
}

/** The length of a contraction such as "'re" at a place, or 0. */
function contractionAt(text: string, start: number): number {
  if (text.charCodeAt(start) !== APOSTROPHE) return 0;
  const second = ENDINGS[text.charAt(start + 1)];
  if (second === undefined) return 0;
  if (second === "") return 2;
  return text.charAt(start + 2) === second ? 3 : 0;
}
