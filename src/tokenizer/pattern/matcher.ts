// Finds the matches of a regular expression in a text, with the results of a backtracking matcher. It differs from the usual
// one in two ways. It remembers the outcome of each branch at each place of the text and never tries it twice, so its time is at
// most the length of the text times the length of the program. And it counts its work and can pause between any two steps.
// Both are possible because there are no captures: the outcome depends only on the line of the program and the place.
import { patternWordCharacters } from "../unicode/classes.ts";
import { CodePointSet } from "../unicode/code-point-set.ts";
import type { Work } from "../work.ts";
import type { Instruction, Program } from "./program.ts";
import type { Place } from "./syntax.ts";

/** Places of the text that one block of that memory covers. */
const PAGE = 1024;
/**
 * What is known of a fork at a place: it was tried and led nowhere, or is being tried; or it led to the end of what is
 * matched by itself, and what came after that led nowhere.
 */
const [UNKNOWN, TRIED, LEAVES] = [0, 1, 3] as const;
type Mark = typeof UNKNOWN | typeof TRIED | typeof LEAVES;
const NEWLINE = 0x0a;

/** A branch that is still to be tried, or the border of a lookahead or atomic group. */
interface Frame {
  readonly line: number;
  readonly place: number;
  /** Length of the path that led here. */
  readonly path: number;
  /** Of an edge: how it was entered. */
  readonly entered?: "atomic" | "ahead" | "notAhead";
}

/** The matches of a program in a text, in order and without overlap; undefined where the share of work is used up. */
export function* matchesOf(
  program: Program,
  text: string,
  work: Work,
): Generator<readonly [start: number, end: number] | undefined, void> {
  const matcher = new Matcher(program, text);
  let lastEnd = -1;
  for (let start = 0; start <= text.length; ) {
    matcher.begin(start);
    let end = matcher.run(work);
    for (; end === PAUSED; end = matcher.run(work)) yield undefined;
    const step = start < text.length && text.codePointAt(start)! > 0xffff ? 2 : 1;
    if (end === FAILED || (end === start && end === lastEnd)) start += step;
    else {
      yield [start, end];
      lastEnd = end;
      // After an empty match the search continues one character later.
      start = end === start ? start + step : end;
    }
  }
}

const FAILED = -1;
const PAUSED = -2;

let wordCharacters: CodePointSet | undefined;

class Matcher {
  readonly #program: Program;
  readonly #text: string;
  #line = 0;
  #place = 0;
  #frames: Frame[] = [];
  /** The forks on the way to where the matcher is, as their numbers in the memory. */
  #path: number[] = [];
  /** Two bits for each place and fork. In parts; those for places that are left behind are given up. */
  readonly #tried: (Uint8Array | undefined)[] = [];
  #firstPage = 0;

  constructor(program: Program, text: string) {
    this.#program = program;
    this.#text = text;
    wordCharacters ??= new CodePointSet(patternWordCharacters());
  }

  /** A match that begins at a place is looked for next. */
  begin(start: number): void {
    this.#line = 0;
    this.#place = start;
    this.#frames = [];
    this.#path = [];
    const page = Math.floor(start / PAGE);
    for (; this.#firstPage < page; this.#firstPage++) this.#tried[this.#firstPage] = undefined;
  }

  /** The end of the match, FAILED, or PAUSED when the share of work is used up. */
  run(work: Work): number {
    const { lines } = this.#program;
    while (work.left-- > 0) {
      const instruction = lines[this.#line]!;
      switch (instruction.op) {
        case "take": {
          const code = this.#text.codePointAt(this.#place);
          if (code !== undefined && instruction.set.has(code)) {
            this.#place += code > 0xffff ? 2 : 1;
            this.#line++;
          } else if (!this.#goBack()) return FAILED;
          break;
        }
        case "fork":
          if (!this.#fork(instruction)) return FAILED;
          break;
        case "jump":
          this.#line = instruction.to;
          break;
        case "enter": {
          const { how, end } = instruction;
          this.#frames.push({ line: end, place: this.#place, path: this.#path.length, entered: how });
          this.#line++;
          break;
        }
        case "leave":
          if (!this.#leave()) return FAILED;
          break;
        case "match":
          for (const number of this.#path) this.#mark(number, UNKNOWN);
          return this.#place;
        default:
          if (this.#holds(instruction)) this.#line++;
          else if (!this.#goBack()) return FAILED;
      }
    }
    return PAUSED;
  }

  /** Goes the latest way that can still be gone. */
  #goBack(): boolean {
    for (let frame = this.#frames.pop(); frame; frame = this.#frames.pop()) {
      if (frame.entered === "atomic" || frame.entered === "ahead") continue;
      this.#goTo(frame.line, frame);
      return true;
    }
    return false;
  }

  #goTo(line: number, { place, path }: Frame): void {
    this.#line = line;
    this.#place = place;
    this.#path.length = path;
  }

  #fork({ first, second, index, exit }: Instruction & { op: "fork" }): boolean {
    const number = this.#place * this.#program.numForks + index;
    const mark = this.#markOf(number);
    if (mark === UNKNOWN) {
      this.#mark(number, TRIED);
      this.#path.push(number);
      this.#frames.push({ line: second, place: this.#place, path: this.#path.length });
      this.#line = first;
      return true;
    }
    if (exit !== undefined && this.#isOnPath(number)) {
      this.#line = exit;
      return true;
    }
    return mark === LEAVES ? this.#leave(true) : this.#goBack();
  }

  /** Whether a fork was met on the way here, at this place. */
  #isOnPath(number: number): boolean {
    const first = this.#place * this.#program.numForks;
    for (let i = this.#path.length - 1; i >= 0 && this.#path[i]! >= first; i--) {
      if (this.#path[i] === number) return true;
    }
    return false;
  }

  /**
   * What was to be matched by itself is matched: the other ways to do so are given up. `again`: it is known that it can
   * be matched from here, and of an atomic group that what follows it cannot.
   */
  #leave(again = false): boolean {
    let edge = this.#frames.pop()!;
    while (edge.entered === undefined) edge = this.#frames.pop()!;
    for (let i = edge.path; i < this.#path.length; i++) {
      const number = this.#path[i]!;
      // Of a group within this one it is known only what followed it there.
      this.#mark(number, this.#markOf(number) === TRIED ? LEAVES : UNKNOWN);
    }
    if (edge.entered === "notAhead" || (again && edge.entered === "atomic")) return this.#goBack();
    if (edge.entered === "atomic") this.#line++;
    else this.#goTo(edge.line, edge);
    return true;
  }

  #markOf(number: number): Mark {
    const { numForks } = this.#program;
    const place = Math.floor(number / numForks);
    const bits = this.#tried[Math.floor(place / PAGE)];
    const at = 2 * ((place % PAGE) * numForks + (number % numForks));
    return bits === undefined ? UNKNOWN : (((bits[at >> 3]! >> (at & 7)) & 3) as Mark);
  }

  #mark(number: number, mark: Mark): void {
    const { numForks } = this.#program;
    const place = Math.floor(number / numForks);
    const page = Math.floor(place / PAGE);
    if (page < this.#firstPage) return;
    this.#tried[page] ??= new Uint8Array((2 * PAGE * numForks) >> 3);
    const at = 2 * ((place % PAGE) * numForks + (number % numForks));
    this.#tried[page][at >> 3]! &= ~(3 << (at & 7));
    this.#tried[page][at >> 3]! |= mark << (at & 7);
  }

  #holds(
    test: { op: "place"; place: Place } | { op: "behind"; set: CodePointSet; isNegative: boolean },
  ): boolean {
    const before = this.#before();
    if (test.op === "behind") return (before !== undefined && test.set.has(before)) !== test.isNegative;
    const after = this.#text.codePointAt(this.#place);
    const isWord = (code: number | undefined): boolean => code !== undefined && wordCharacters!.has(code);
    switch (test.place) {
      case "start":
        return before === undefined;
      case "end":
        return after === undefined;
      case "lineStart":
        return before === undefined || (before === NEWLINE && after !== undefined);
      case "lineEnd":
        return after === undefined || after === NEWLINE;
      case "lastLineEnd":
        return after === undefined || (after === NEWLINE && this.#place + 1 === this.#text.length);
      case "word":
        return isWord(before) !== isWord(after);
      case "notWord":
        return isWord(before) === isWord(after);
    }
  }

  /** The character before this place. */
  #before(): number | undefined {
    const { length } = this.#text;
    if (this.#place === 0 || length === 0) return undefined;
    const unit = this.#text.charCodeAt(this.#place - 1);
    const isLow = unit >= 0xdc00 && unit < 0xe000 && this.#place > 1;
    return isLow ? this.#text.codePointAt(this.#place - 2) : unit;
  }
}
