// Finds the longest of many given words at each place of a text. It reads the text once, from end to beginning, with the automaton
// of Aho and Corasick (1975) for the reversed words. So the time depends on the length of the text only, not on the number of
// words or what they have in common.
import { PairTable } from "./pair-table.ts";
import type { Steps, Work } from "./work.ts";

const ROOT = 0;
const NONE = -1;
const STRIDE = 4096;

export class WordFinder {
  /** (node, UTF-16 unit) → node. */
  readonly #edges: PairTable;
  /** Of each node: the node of its longest end that is one too, and the longest word that it ends with. */
  readonly #fallbacks: Int32Array;
  readonly #words: Int32Array;
  /** Units with which a word ends: most of a text has none of them. */
  readonly #lastUnits = new Uint8Array(0x10000);

  /** The words are known by their numbers in this list; none may be empty. The first of equal ones counts. */
  constructor(words: readonly string[]) {
    const units = words.reduce((sum, word) => sum + word.length, 0);
    this.#edges = new PairTable();
    this.#fallbacks = new Int32Array(units + 1);
    this.#words = new Int32Array(units + 1).fill(NONE);
    const parents: number[] = [NONE];
    const letters: number[] = [NONE];
    for (const [index, word] of words.entries()) {
      let node = ROOT;
      for (let at = word.length - 1; at >= 0; at--) {
        const unit = word.charCodeAt(at);
        let next = this.#edges.get(node, unit);
        if (next === NONE) {
          next = parents.length;
          this.#edges.set(node, unit, next);
          parents.push(node);
          letters.push(unit);
        }
        node = next;
      }
      if (this.#words[node] === NONE) this.#words[node] = index;
      this.#lastUnits[word.charCodeAt(word.length - 1)] = 1;
    }
    this.#link(parents, letters);
  }

  /** Shorter nodes first, because a fallback is shorter than its node. */
  #link(parents: readonly number[], letters: readonly number[]): void {
    const depths = new Int32Array(parents.length);
    for (let node = 1; node < parents.length; node++) depths[node] = depths[parents[node]!]! + 1;
    const byDepth = Int32Array.from(depths.keys()).sort((a, b) => depths[a]! - depths[b]!);
    for (const node of byDepth) {
      if (depths[node]! < 2) continue;
      const fallback = this.#next(this.#fallbacks[parents[node]!]!, letters[node]!);
      this.#fallbacks[node] = fallback;
      if (this.#words[node] === NONE) this.#words[node] = this.#words[fallback]!;
    }
  }

  /** The longest node that ends as `node` and then `unit` do. */
  #next(from: number, unit: number): number {
    for (let node = from; ; node = this.#fallbacks[node]!) {
      const next = this.#edges.get(node, unit);
      if (next !== NONE) return next;
      if (node === ROOT) return ROOT;
    }
  }

  /** For each place of a text, 1 + the number of the longest word that begins there, or 0; undefined where no word is. */
  *find(text: string, work: Work): Steps<Int32Array | undefined> {
    let found: Int32Array | undefined;
    let node = ROOT;
    for (let end = text.length; end > 0; end -= STRIDE) {
      if (work.left < 0) yield undefined;
      work.left -= Math.min(end, STRIDE);
      for (let at = end - 1; at >= Math.max(0, end - STRIDE); at--) {
        const unit = text.charCodeAt(at);
        if (node === ROOT && this.#lastUnits[unit] === 0) continue;
        node = this.#next(node, unit);
        const word = this.#words[node]!;
        if (word === NONE) continue;
        found ??= new Int32Array(text.length);
        found[at] = word + 1;
      }
    }
    return found;
  }
}
