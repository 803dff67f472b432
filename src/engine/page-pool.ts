// Who owns which page of KV memory. Pages are counted, since sequences of one request share them; a request's pages
// are promised to it at admission for its whole life, so an admitted request always finishes.
import { assert } from "../errors.ts";

export class PagePool {
  readonly size: number;
  readonly #free: number[];
  /** Owners of each page. */
  readonly #owners: Uint32Array;
  /** Pages that were promised and are not in use now. */
  #promised = 0;

  constructor(size: number) {
    this.size = size;
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.#owners = new Uint32Array(size);
  }

  /** Pages that are neither in use nor promised. */
  get available(): number {
    return this.#free.length - this.#promised;
  }

  get inUse(): number {
    return this.size - this.#free.length;
  }

  /** Promises `count` pages; false if there are not so many. */
  reserve(count: number): boolean {
    if (count > this.available) return false;
    this.#promised += count;
    return true;
  }

  /** Takes back a promise, after all its pages were released. */
  unreserve(count: number): void {
    this.#promised -= count;
    assert(this.#promised >= 0, "more pages were given back than promised");
  }

  /** A page out of the promised ones, with one owner. */
  allocate(): number {
    const page = this.#free.pop();
    assert(page !== undefined && this.#promised > 0, "a page was taken that nobody had promised");
    this.#promised -= 1;
    this.#owners[page] = 1;
    return page;
  }

  /** To be called when no request runs: every page must be free, without owners and promised to nobody. */
  assertAllHome(): void {
    assert(this.#free.length === this.size, `${this.inUse} pages are in use by nobody`);
    assert(new Set(this.#free).size === this.size, "a page is free twice");
    assert(this.#promised === 0, `${this.#promised} pages are promised to nobody`);
    assert(
      this.#owners.every((owners) => owners === 0),
      "a free page has an owner",
    );
  }

  /** One more owner. */
  share(page: number): void {
    this.#owners[page] = (this.#owners[page] as number) + 1;
  }

  /** One owner less; without owners the page is free, and promised to the same request again. */
  release(page: number): void {
    const owners = this.#owners[page] as number;
    assert(owners > 0, `page ${page} was released twice`);
    this.#owners[page] = owners - 1;
    if (owners > 1) return;
    this.#free.push(page);
    this.#promised += 1;
  }
}
