// The pages of single sequences: allocated, found in the prefix cache, filled, shared and released. What is computed and when is
// decided by the scheduler; how many pages there may be, by `page-pool.ts`.
import type { PageCopy } from "../model/backend.ts";
import type { PagePool } from "./page-pool.ts";
import type { Sequence } from "./sequence.ts";

export class SequencePages {
  readonly #pool: PagePool;
  readonly #positions: number;

  /** `positions`: the number of positions in one page. */
  constructor(pool: PagePool, positions: number) {
    this.#pool = pool;
    this.#positions = positions;
  }

  /** Allocates pages until they cover the positions 0 to `end` − 1. */
  cover({ pages }: Sequence, end: number): void {
    while (pages.length * this.#positions < end) pages.push(this.#pool.allocate());
  }

  /**
   * Takes over the cached pages that hold the next tokens of the sequence, and returns their number of tokens. The page of the
   * last token is always computed, because the logits of that token are needed.
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

  /** Marks `count` more tokens as computed, and enters the pages that they filled into the prefix cache. */
  count(sequence: Sequence, count: number): void {
    const { tokenIds, pages, numComputed: from } = sequence;
    sequence.numComputed += count;
    const numFull = Math.floor(sequence.numComputed / this.#positions);
    for (let i = Math.floor(from / this.#positions); i < numFull; i++) {
      const own = tokenIds.slice(i * this.#positions, (i + 1) * this.#positions);
      pages[i] = this.#pool.publish(pages[i] as number, pages[i - 1], own);
    }
  }

  /** Forks a sequence. Full pages are shared. An incomplete last page is copied before the next pass, so a fork copies at most one. */
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

  /** Releases all pages of a sequence, last page first. */
  release({ pages }: Sequence): void {
    for (const page of pages.toReversed()) this.#pool.release(page);
  }
}
