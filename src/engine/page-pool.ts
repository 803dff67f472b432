// Ownership of the pages of KV memory, by reference counts, since sequences share pages. At admission a request reserves all
// pages that it can ever need, so an admitted request always finishes. Full pages without an owner stay in the prefix cache
// until their memory is needed. For reservations they count as free.
import { includes } from "../decoding/token-logprobs.ts";
import { assert } from "../errors.ts";
import { type PageScores, PrefixCache } from "./prefix-cache.ts";

export class PagePool {
  readonly size: number;
  readonly #free: number[];
  /** Number of owners of each page. */
  readonly #owners: Uint32Array;
  readonly #cache: PrefixCache | undefined;
  /**
   * Cached pages without owners, least recently used first: the order of eviction. An owner of a page also owns all pages before
   * it in the text, and releases them last page first. So a page comes before the one that it continues, and no cached page
   * continues the first one here.
   */
  readonly #idle = new Set<number>();
  /** Number of pages reserved by requests, whether in use or not. */
  #reserved = 0;

  constructor(size: number, { prefixCache }: { readonly prefixCache: boolean }) {
    this.size = size;
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.#owners = new Uint32Array(size);
    this.#cache = prefixCache ? new PrefixCache() : undefined;
  }

  /** Number of pages that are not reserved. */
  get available(): number {
    return this.size - this.#reserved;
  }

  /** Whether there is a prefix cache, in which later prompts find full pages. */
  get keepsPages(): boolean {
    return this.#cache !== undefined;
  }

  /** Number of pages with owners. */
  get inUse(): number {
    return this.size - this.#free.length - this.#idle.size;
  }

  /** Number of cached pages without owners. */
  get idle(): number {
    return this.#idle.size;
  }

  /** Reserves `count` pages. False: there are not enough. A page that two requests share is reserved by both. */
  reserve(count: number): boolean {
    if (count > this.available) return false;
    this.#reserved += count;
    return true;
  }

  /** Ends a reservation, after all its pages have been released. */
  unreserve(count: number): void {
    this.#reserved -= count;
    assert(this.#reserved >= this.inUse, "more pages are in use than reserved");
  }

  /** Takes one of the reserved pages, with one owner. */
  allocate(): number {
    assert(this.inUse < this.#reserved, "a page was allocated without a reservation");
    const page = this.#free.pop() ?? this.#evict();
    this.#owners[page] = 1;
    return page;
  }

  /** Adds an owner to a page. */
  addOwner(page: number): void {
    this.#idle.delete(page);
    this.#owners[page] = (this.#owners[page] as number) + 1;
  }

  /**
   * Removes an owner from a page. A page without owners becomes idle if it is in the prefix cache, otherwise free. The pages of a
   * sequence must be released last page first.
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
   * Finds a page that holds `tokenIds` directly after those of `previous` (undefined: at the beginning of a text), and adds an
   * owner, who must own `previous` already. Undefined: there is no such page.
   */
  find(previous: number | undefined, tokenIds: readonly number[]): number | undefined {
    const page = this.#cache?.find(previous, tokenIds);
    if (page !== undefined) this.addOwner(page);
    return page;
  }

  /**
   * Enters a page that has just been filled into the prefix cache. Returns the page to use from now on. That is the same page,
   * or a cached one with the same content, which gets an owner while the new one is released.
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

  /** The scores kept with a page of the prefix cache. Undefined: none were kept. */
  scoresOf(page: number): PageScores | undefined {
    return this.#cache?.scoresOf(page);
  }

  /** Keeps the log-probabilities of a page's tokens as long as the page is in the prefix cache. */
  keepScores(page: number, scores: PageScores): void {
    if (!this.#cache?.has(page)) return;
    const known = this.#cache.scoresOf(page);
    if (known && includes(known.options, scores.options)) return;
    this.#cache.keepScores(page, scores);
  }

  /** Checks the invariant for when no request runs: every page is free or idle, has no owner, and nothing is reserved. */
  assertIdle(): void {
    assert(this.inUse === 0, `${this.inUse} pages are in use by no request`);
    const seen = new Uint8Array(this.size);
    for (const page of this.#free) seen[page] = 1;
    for (const page of this.#idle) seen[page] = 1;
    assert(!seen.includes(0), "a page is free twice");
    assert(this.#reserved === 0, `${this.#reserved} pages are reserved by no request`);
    assert(
      this.#owners.every((owners) => owners === 0),
      "a free page has an owner",
    );
    assert(this.#idle.size === (this.#cache?.size ?? 0), "a cached page is not idle");
  }

  /** Removes the least recently used idle page from the prefix cache and returns it. */
  #evict(): number {
    const [page] = this.#idle;
    assert(page !== undefined, "fewer pages are free or idle than reserved");
    this.#idle.delete(page);
    this.#cache?.remove(page);
    return page;
  }
}
