// Who owns which page of KV memory. Pages are counted, since sequences share them; a request's pages are promised to it
// at admission for its whole life, so an admitted request always finishes. Full pages that nobody owns any more stay
// findable until their memory is needed; a promise counts them as if they were free.
import { includes } from "../decoding/token-logprobs.ts";
import { assert } from "../errors.ts";
import { type PageScores, PrefixCache } from "./prefix-cache.ts";

export class PagePool {
  readonly size: number;
  readonly #free: number[];
  /** Owners of each page. */
  readonly #owners: Uint32Array;
  readonly #cache: PrefixCache | undefined;
  /**
   * Pages of the cache without owners, least recently used first. Who owns a page owns all pages before it, and gives
   * them back last first: so a page stands in front of the one it continues, and the first is continued by none.
   */
  readonly #idle = new Set<number>();
  /** Pages promised to requests, in use or not. */
  #promised = 0;

  constructor(size: number, { prefixCache }: { readonly prefixCache: boolean }) {
    this.size = size;
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.#owners = new Uint32Array(size);
    this.#cache = prefixCache ? new PrefixCache() : undefined;
  }

  /** Pages that are promised to nobody. */
  get available(): number {
    return this.size - this.#promised;
  }

  /** Whether full pages can be found by later prompts. */
  get keepsPages(): boolean {
    return this.#cache !== undefined;
  }

  /** Pages with owners. */
  get inUse(): number {
    return this.size - this.#free.length - this.#idle.size;
  }

  /** Pages without owners that a prompt may still find. */
  get idle(): number {
    return this.#idle.size;
  }

  /** Promises `count` pages; false if there are not so many. A page that two requests share is promised to both. */
  reserve(count: number): boolean {
    if (count > this.available) return false;
    this.#promised += count;
    return true;
  }

  /** Takes back a promise, after all its pages were released. */
  unreserve(count: number): void {
    this.#promised -= count;
    assert(this.#promised >= this.inUse, "more pages were given back than promised");
  }

  /** A page out of the promised ones, with one owner. */
  allocate(): number {
    assert(this.inUse < this.#promised, "a page was taken that nobody had promised");
    const page = this.#free.pop() ?? this.#evict();
    this.#owners[page] = 1;
    return page;
  }

  /** One more owner. */
  addOwner(page: number): void {
    this.#idle.delete(page);
    this.#owners[page] = (this.#owners[page] as number) + 1;
  }

  /**
   * One owner less; a page without owners is free, unless it is worth keeping. The pages of a sequence must be
   * released last first.
   */
  release(page: number): void {
    const owners = this.#owners[page] as number;
    assert(owners > 0, `page ${page} was released twice`);
    this.#owners[page] = owners - 1;
    if (owners > 1) return;
    if (this.#cache?.has(page)) this.#idle.add(page);
    else this.#free.push(page);
  }

  /**
   * A page that holds `tokenIds` right after those of `previous` (undefined: at the beginning), with one more owner,
   * who must own `previous`; undefined if there is none.
   */
  find(previous: number | undefined, tokenIds: readonly number[]): number | undefined {
    const page = this.#cache?.find(previous, tokenIds);
    if (page !== undefined) this.addOwner(page);
    return page;
  }

  /**
   * Makes a page findable that was just filled. Answers the page to go on with: the same, or one that is known to hold
   * the same, with one more owner, in exchange for this one, which is released.
   */
  publish(page: number, previous: number | undefined, tokenIds: readonly number[]): number {
    const known = this.find(previous, tokenIds);
    if (known === undefined) {
      this.#cache?.add(page, previous, tokenIds);
      return page;
    }
    this.release(page);
    return known;
  }

  /** How likely the tokens of a page are, as far as that was kept with it. The page must be findable. */
  scoresOf(page: number): PageScores | undefined {
    return this.#cache?.scoresOf(page);
  }

  /** Keeps with a page, for as long as it can be found, how likely its tokens are. */
  keepScores(page: number, scores: PageScores): void {
    if (!this.#cache?.has(page)) return;
    const known = this.#cache.scoresOf(page);
    if (known && includes(known.options, scores.options)) return;
    this.#cache.keepScores(page, scores);
  }

  /** To be called when no request runs: every page must be free or idle, without owners and promised to nobody. */
  assertAllHome(): void {
    assert(this.inUse === 0, `${this.inUse} pages are in use by nobody`);
    const seen = new Uint8Array(this.size);
    for (const page of this.#free) seen[page] = 1;
    for (const page of this.#idle) seen[page] = 1;
    assert(!seen.includes(0), "a page is free twice");
    assert(this.#promised === 0, `${this.#promised} pages are promised to nobody`);
    assert(
      this.#owners.every((owners) => owners === 0),
      "a free page has an owner",
    );
    assert(this.#idle.size === (this.#cache?.size ?? 0), "a page is known that is not idle");
  }

  /** Forgets the least recently used page. */
  #evict(): number {
    const [page] = this.#idle;
    assert(page !== undefined, "fewer pages are free or idle than were promised");
    this.#idle.delete(page);
    this.#cache?.remove(page);
    return page;
  }
}
