import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PagePool } from "./page-pool.ts";

const pool = (size: number, prefixCache = true): PagePool => new PagePool(size, { prefixCache });

/** Takes a page for each token as a sequence does: found in the cache, or filled with that one token. */
function write(pages: PagePool, tokenIds: readonly number[]): number[] {
  const taken: number[] = [];
  for (const tokenId of tokenIds) {
    const previous = taken.at(-1);
    const found = pages.find(previous, [tokenId]);
    taken.push(found ?? pages.publish(pages.allocate(), previous, [tokenId]));
  }
  return taken;
}

/** Reserves pages, writes a text, and releases everything, last page first. */
function visit(pages: PagePool, tokenIds: readonly number[]): number[] {
  assert.ok(pages.reserve(tokenIds.length));
  const taken = write(pages, tokenIds);
  for (const page of taken.toReversed()) pages.release(page);
  pages.unreserve(tokenIds.length);
  pages.assertIdle();
  return taken;
}

/** How many of the first pages of a text are in the cache. */
function numKnown(pages: PagePool, tokenIds: readonly number[]): number {
  const found: number[] = [];
  for (const tokenId of tokenIds) {
    const page = pages.find(found.at(-1), [tokenId]);
    if (page === undefined) break;
    found.push(page);
  }
  for (const page of found.toReversed()) pages.release(page);
  return found.length;
}

describe("the page pool", () => {
  it("keeps its promises and gives no page that was not promised", () => {
    const pages = pool(3);
    assert.equal(pages.reserve(4), false);
    assert.equal(pages.reserve(2), true);
    assert.equal(pages.available, 1);
    assert.equal(pages.reserve(2), false);
    const taken = [pages.allocate(), pages.allocate()];
    assert.throws(() => pages.allocate(), /without a reservation/);
    assert.equal(pages.inUse, 2);
    assert.throws(() => pages.assertIdle(), /2 pages are in use by no request/);
    for (const page of taken) pages.release(page);
    assert.throws(() => pages.release(taken[0] as number), /released twice/);
    assert.throws(() => pages.assertIdle(), /2 pages are reserved by no request/);
    pages.unreserve(2);
    pages.assertIdle();
    assert.throws(() => pages.unreserve(1), /more pages are in use than reserved/);
  });

  it("counts the owners of a page", () => {
    const pages = pool(2, false);
    pages.reserve(1);
    const page = pages.allocate();
    pages.addOwner(page);
    pages.release(page);
    assert.equal(pages.inUse, 1);
    pages.release(page);
    assert.equal(pages.inUse, 0);
  });

  it("finds pages again after their request, and counts them as available", () => {
    const pages = pool(4);
    const first = visit(pages, [1, 2, 3]);
    assert.deepEqual([pages.inUse, pages.idle, pages.available], [0, 3, 4]);
    assert.deepEqual(visit(pages, [1, 2, 3]), first);
    const [one, two, other] = visit(pages, [1, 2, 9]);
    assert.deepEqual([one, two], first.slice(0, 2));
    assert.ok(!first.includes(other as number));
    assert.equal(pages.idle, 4);
    assert.ok(pages.reserve(4), "idle pages are in the way");
  });

  it("evicts the least recently used text, its last page first", () => {
    const pages = pool(6);
    visit(pages, [1, 2, 3]);
    visit(pages, [4, 5, 6]);
    assert.equal(numKnown(pages, [1, 2, 3]), 3); // Looking it up makes 4, 5, 6 the least recently used text.
    visit(pages, [7]);
    assert.deepEqual([numKnown(pages, [4, 5, 6]), numKnown(pages, [1, 2, 3])], [2, 3]);
    visit(pages, [8, 9]);
    // 7 has not been looked up since.
    assert.deepEqual(
      [[7], [4, 5], [1, 2, 3]].map((text) => numKnown(pages, text)),
      [0, 1, 3],
    );
  });

  it("evicts what two texts share after what only one of them has", () => {
    const pages = pool(4);
    visit(pages, [1, 2, 3]);
    visit(pages, [1, 2, 4]);
    visit(pages, [5]);
    assert.deepEqual([numKnown(pages, [1, 2, 3]), numKnown(pages, [1, 2, 4])], [2, 3]);
  });

  it("never evicts a page that has an owner", () => {
    const pages = pool(3);
    visit(pages, [1, 2]);
    pages.reserve(3);
    const mine = write(pages, [1]);
    const rest = [pages.allocate(), pages.allocate()];
    assert.equal(new Set([...mine, ...rest]).size, 3);
    assert.equal(pages.find(undefined, [1]), mine[0]);
    assert.equal(pages.find(mine[0], [2]), undefined);
  });

  it("exchanges a page for one that holds the same", () => {
    const pages = pool(5);
    pages.reserve(2);
    pages.reserve(2);
    const [mine, theirs] = [pages.allocate(), pages.allocate()];
    assert.equal(pages.publish(mine, undefined, [1]), mine);
    assert.equal(pages.publish(theirs, undefined, [1]), mine);
    assert.equal(pages.inUse, 1);
    // The page keeps its second owner when the first one releases it.
    pages.release(mine);
    pages.unreserve(2);
    assert.deepEqual([pages.inUse, pages.idle], [1, 0]);
    pages.release(mine);
    pages.unreserve(2);
    assert.equal(pages.idle, 1);
    pages.assertIdle();
  });

  it("can be had without a cache: nothing is found, and every page is free again", () => {
    const pages = pool(2, false);
    visit(pages, [1, 2]);
    assert.equal(pages.idle, 0);
    assert.equal(pages.find(undefined, [1]), undefined);
  });
});
