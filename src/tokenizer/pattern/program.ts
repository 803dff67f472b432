// Compiles a regular expression into a program for the matcher: lines that say what to do at a place of the text, and where to
// continue. Counted repetitions are written out, so a program needs no counters and its state is a line and a place.
import { type Bounds, CodePointSet } from "../unicode/code-point-set.ts";
import { type Node, PatternError, type Place } from "./syntax.ts";

export type Instruction =
  /** Takes one character of the set. */
  | { readonly op: "take"; readonly set: CodePointSet }
  /**
   * Goes on at `first`, and at `second` if that leads nowhere. `index` counts the forks. At the head of a loop `exit` is
   * the one of the two that leaves it: taken when a round has matched nothing.
   */
  | { readonly op: "fork"; first: number; second: number; readonly index: number; exit?: number }
  | { readonly op: "jump"; to: number }
  | { readonly op: "place"; readonly place: Place }
  | { readonly op: "behind"; readonly set: CodePointSet; readonly isNegative: boolean }
  /** Begins what is matched by itself, up to the `leave` at the line before `end`. */
  | { readonly op: "enter"; readonly how: "atomic" | "ahead" | "notAhead"; end: number }
  | { readonly op: "leave" }
  | { readonly op: "match" };

export interface Program {
  readonly lines: readonly Instruction[];
  readonly numForks: number;
}

/** Far above any tokenizer's pattern; `(…{1000}){1000}` is far above it. */
const LINES_MAX = 20_000;

/** @throws PatternError if the program is too long once its repetitions are written out */
export function compile(node: Node): Program {
  const writer = new Writer();
  writer.write(node);
  writer.add({ op: "match" });
  return { lines: writer.lines, numForks: writer.numForks };
}

class Writer {
  readonly lines: Instruction[] = [];
  numForks = 0;
  readonly #sets = new Map<Bounds, CodePointSet>();

  add<T extends Instruction>(instruction: T): T {
    if (this.lines.length >= LINES_MAX) throw new PatternError("too many repetitions");
    this.lines.push(instruction);
    return instruction;
  }

  write(node: Node): void {
    switch (node.kind) {
      case "set":
        this.add({ op: "take", set: this.#setOf(node.bounds) });
        return;
      case "sequence":
        for (const item of node.items) this.write(item);
        return;
      case "options":
        this.#writeOptions(node.options);
        return;
      case "repeat":
        this.#writeRepeat(node);
        return;
      case "atomic":
      case "ahead": {
        const how = node.kind === "atomic" ? "atomic" : node.isNegative ? "notAhead" : "ahead";
        const enter = this.add({ op: "enter", how, end: 0 });
        this.write(node.item);
        this.add({ op: "leave" });
        enter.end = this.lines.length;
        return;
      }
      case "behind":
        this.add({ op: "behind", set: this.#setOf(node.bounds), isNegative: node.isNegative });
        return;
      case "place":
        this.add({ op: "place", place: node.place });
    }
  }

  #writeOptions(options: readonly Node[]): void {
    const jumps = options.slice(0, -1).map((option) => {
      const fork = this.#fork();
      fork.first = this.lines.length;
      this.write(option);
      const jump = this.add({ op: "jump", to: 0 });
      fork.second = this.lines.length;
      return jump;
    });
    this.write(options.at(-1)!);
    for (const jump of jumps) jump.to = this.lines.length;
  }

  #writeRepeat({ item, min, max, lazy }: Node & { kind: "repeat" }): void {
    for (let i = 0; i < min; i++) this.write(item);
    const forks: (Instruction & { op: "fork" })[] = [];
    const optional = max === Number.POSITIVE_INFINITY ? 1 : max - min;
    for (let i = 0; i < optional; i++) {
      const at = this.lines.length;
      forks.push(this.#fork());
      this.write(item);
      if (max === Number.POSITIVE_INFINITY) this.add({ op: "jump", to: at });
      const fork = forks.at(-1)!;
      if (lazy) fork.second = at + 1;
      else fork.first = at + 1;
    }
    for (const fork of forks) {
      if (lazy) fork.first = this.lines.length;
      else fork.second = this.lines.length;
      if (max === Number.POSITIVE_INFINITY) fork.exit = this.lines.length;
    }
  }

  #fork(): Instruction & { op: "fork" } {
    return this.add({ op: "fork", first: 0, second: 0, index: this.numForks++ });
  }

  /** A set that is written out several times is made once. */
  #setOf(bounds: Bounds): CodePointSet {
    const set = this.#sets.get(bounds) ?? new CodePointSet(bounds);
    this.#sets.set(bounds, set);
    return set;
  }
}
