// The Unicode normal forms NFC, NFD, NFKC and NFKD, as `tokenizers` computes them with its version of Unicode. JavaScript's
// `normalize` uses the Unicode version of Node, which changes. So it is only asked about one or two characters at a time, and
// only about those in the tables, whose result is stable by Unicode's own policy. Ordering and composition are done here, in
// steps, so that the time grows with the length of the text, however many marks it piles up.
// Source of the algorithm: Unicode Standard Annex 15.
import type { Steps, Work } from "../work.ts";
import { parseRanges } from "./classes.ts";
import { CodePointSet } from "./code-point-set.ts";
import { COMBINING, NORMALIZED } from "./tables.ts";

export type NormalForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** No code point below this one joins the character before it. */
const FIRST_JOINING = 0x300;
/** Longer runs of marks are sorted in steps. */
const FEW_MARKS = 32;
const CODES_AT_A_TIME = 4096;

export class Normalization {
  readonly #decomposed: "NFD" | "NFKD";
  readonly #composes: boolean;
  /** What a normal form may change, move or join; all else stands for itself and keeps others apart. */
  readonly #active = new CodePointSet(parseRanges(NORMALIZED));
  readonly #classes = parseClasses();
  readonly #decompositions = new Map<number, readonly number[]>();
  /** Two characters, as one number → the one they make. */
  readonly #compositions = new Map<number, number>();

  constructor(form: NormalForm) {
    this.#decomposed = form.includes("K") ? "NFKD" : "NFD";
    this.#composes = form.endsWith("C");
  }

  /** The normal form of a text. */
  *normalize(text: string, work: Work): Steps<string> {
    const output = new Output((starter, code) => (this.#composes ? this.#compose(starter, code) : undefined));
    let marks: number[] = [];
    for (let at = 0; at < text.length; ) {
      const code = text.codePointAt(at)!;
      at += code > 0xffff ? 2 : 1;
      if (--work.left < 0) yield undefined;
      for (const part of this.#decompose(code)) {
        if (this.#classes.has(part)) {
          marks.push(part);
          continue;
        }
        yield* this.#finish(marks, output, work);
        marks = [];
        output.add(part, 0, this.#active.has(part));
      }
    }
    yield* this.#finish(marks, output, work);
    return output.text();
  }

  /** Marks in the order of their classes; those of one class stay as they came. */
  *#finish(marks: readonly number[], output: Output, work: Work): Steps<void> {
    if (marks.length === 0) return;
    const classOf = (code: number): number => this.#classes.get(code)!;
    if (marks.length <= FEW_MARKS) {
      for (const mark of marks.toSorted((a, b) => classOf(a) - classOf(b)))
        output.add(mark, classOf(mark), true);
      return;
    }
    const byClass = new Map<number, number[]>();
    for (const mark of marks) {
      const known = byClass.get(classOf(mark));
      if (known) known.push(mark);
      else byClass.set(classOf(mark), [mark]);
      if (--work.left < 0) yield undefined;
    }
    for (const [combining, group] of [...byClass].sort(([a], [b]) => a - b)) {
      for (const mark of group) {
        output.add(mark, combining, true);
        if (--work.left < 0) yield undefined;
      }
    }
  }

  #decompose(code: number): readonly number[] {
    if (!this.#active.has(code)) return [code];
    const known = this.#decompositions.get(code);
    if (known) return known;
    const parts = codePoints(String.fromCodePoint(code).normalize(this.#decomposed));
    this.#decompositions.set(code, parts);
    return parts;
  }

  #compose(starter: number, code: number): number | undefined {
    if (code < FIRST_JOINING || !this.#active.has(starter)) return undefined;
    const pair = starter * 0x110000 + code;
    const known = this.#compositions.get(pair);
    if (known !== undefined) return known;
    const [first, second] = codePoints(String.fromCodePoint(starter, code).normalize("NFC"));
    if (second !== undefined) return undefined;
    this.#compositions.set(pair, first!);
    return first;
  }
}

/** Appends code points one by one, and composes each with the starter before it if possible. */
class Output {
  readonly #join: (starter: number, code: number) => number | undefined;
  readonly #parts: string[] = [];
  #codes: number[] = [];
  #starter = -1; // Index of the starter that the next one may join.
  #lastClass = 0;

  constructor(join: (starter: number, code: number) => number | undefined) {
    this.#join = join;
  }

  add(code: number, combining: number, isActive: boolean): void {
    // A mark of the same or a higher class in between blocks the composition.
    if (isActive && this.#starter >= 0 && (this.#lastClass === 0 || this.#lastClass < combining)) {
      const joined = this.#join(this.#codes[this.#starter]!, code);
      if (joined !== undefined) {
        this.#codes[this.#starter] = joined;
        return;
      }
    }
    this.#lastClass = combining;
    if (combining === 0) {
      if (this.#codes.length >= CODES_AT_A_TIME) this.#write();
      this.#starter = this.#codes.length;
    }
    this.#codes.push(code);
  }

  text(): string {
    this.#write();
    return this.#parts.join("");
  }

  #write(): void {
    for (let i = 0; i < this.#codes.length; i += CODES_AT_A_TIME) {
      this.#parts.push(String.fromCodePoint(...this.#codes.slice(i, i + CODES_AT_A_TIME)));
    }
    this.#codes = [];
    this.#starter = -1;
  }
}

function codePoints(text: string): number[] {
  return Array.from(text, (char) => char.codePointAt(0)!);
}

/** Of the marks, that is of all whose class is not 0. Written as gap, number, class. */
function parseClasses(): ReadonlyMap<number, number> {
  const numbers = COMBINING.split(" ").map((text) => Number.parseInt(text, 36));
  const classes = new Map<number, number>();
  for (let i = 0, code = 0; i < numbers.length; i += 3) {
    code += numbers[i]!;
    for (const end = code + numbers[i + 1]!; code < end; code++) classes.set(code, numbers[i + 2]!);
  }
  return classes;
}
