// The pages of single sequences: taken, found, filled, shared and given back. What is computed, and when, is decided
// elsewhere; how many pages there may be is the pool's.
import type { PageCopy } from "../model/backend.ts";
import type { PagePool } from "./page-pool.ts";
import type { Sequence } from "./sequence.ts";

export class SequencePages {
  readonly #pool: PagePool;
  readonly #positions: number;

  /** `positions`: of one page. */
  constructor(pool: PagePool, positions: number) {
    this.#pool = pool;
    this.#positions = positions;
  }

  /** Takes pages until they hold positions 0 to `end` − 1. */
  cover({ pages }: Sequence, end: number): void {
    while (pages.length * this.#positions < end) pages.push(this.#pool.allocate());
  }

  /**
   * Takes over pages that hold what the sequence owes next; the answer is the number of tokens in them. The last page it
   * computes itself, however little of it: its logits are wanted.
   */
  takeCached(sequence: Sequence): number {
    const from = sequence.numComputed;
    if (sequence.pages.length * this.#positions > from) return 0;
    for (;;) {
      const end = sequence.numComputed + this.#positions;
      if (end >= sequence.tokenIds.length) break;
      const own = sequence.tokenIds.slice(sequence.numComputed, end);
      const page = this.#pool.find(sequence.pages.at(-1), own);
      if (page === undefined) break;
      sequence.pages.push(page);
      sequence.numComputed = end;
    }
    return sequence.numComputed - from;
  }

  /** Takes `count` further tokens as computed, and makes the pages findable that they filled. */
  count(sequence: Sequence, count: number): void {
    const { tokenIds, pages, numComputed: from } = sequence;
    sequence.numComputed += count;
    const numFull = Math.floor(sequence.numComputed / this.#positions);
    for (let i = Math.floor(from / this.#positions); i < numFull; i++) {
      const own = tokenIds.slice(i * this.#positions, (i + 1) * this.#positions);
      pages[i] = this.#pool.publish(pages[i] as number, pages[i - 1], own);
    }
  }

  /** Shares the full pages and orders a copy of the last, incomplete one: at most one page a fork. */
  fork(parent: Sequence, copies: PageCopy[]): number[] {
    const full = Math.floor(parent.numComputed / this.#positions);
    const pages = parent.pages.slice(0, full);
    for (const page of pages) this.#pool.addOwner(page);
    if (parent.numComputed > full * this.#positions) {
      const copy = this.#pool.allocate();
      copies.push({ from: parent.pages[full] as number, to: copy });
      pages.push(copy);
    }
    return pages;
  }

  /** Gives all of them back, the last one first. */
  release({ pages }: Sequence): void {
    for (const page of pages.toReversed()) this.#pool.release(page);
  }
}
