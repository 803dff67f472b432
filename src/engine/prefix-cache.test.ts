import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PrefixCache } from "./prefix-cache.ts";

describe("the prefix cache", () => {
  it("finds a page by its tokens and all before them", () => {
    const cache = new PrefixCache();
    cache.add(5, undefined, [1, 2]);
    cache.add(6, undefined, [3, 4]);
    cache.add(7, 5, [8, 9]);
    cache.add(8, 6, [8, 9]);
    assert.equal(cache.find(undefined, [1, 2]), 5);
    assert.equal(cache.find(5, [8, 9]), 7);
    assert.equal(cache.find(6, [8, 9]), 8);
    assert.equal(cache.find(undefined, [8, 9]), undefined);
    assert.equal(cache.find(7, [8, 9]), undefined);
    assert.equal(cache.size, 4);
  });

  it("tells token ids apart that are written with the same digits", () => {
    const cache = new PrefixCache();
    cache.add(1, undefined, [12, 3]);
    cache.add(2, undefined, [1, 23]);
    cache.add(11, 1, [1, 2]);
    assert.equal(cache.find(undefined, [12, 3]), 1);
    assert.equal(cache.find(undefined, [1, 23]), 2);
    assert.equal(cache.find(undefined, [1, 2, 3]), undefined);
    assert.equal(cache.find(11, [1, 2]), undefined);
  });

  it("forgets a page, but none that others continue: its number will stand for other tokens", () => {
    const cache = new PrefixCache();
    cache.add(1, undefined, [7]);
    cache.add(2, 1, [8]);
    cache.add(3, 1, [9]);
    assert.throws(() => cache.remove(1), /page 1 is forgotten before 2 that continue it/);
    cache.remove(2);
    assert.throws(() => cache.remove(1), /before 1/);
    cache.remove(3);
    cache.remove(1);
    assert.equal(cache.find(undefined, [7]), undefined);
    assert.equal(cache.find(1, [8]), undefined);
    assert.throws(() => cache.remove(1), /page 1 is not known/);
    assert.throws(() => cache.add(4, 1, [8]), /page 1 is not known/);
  });

  it("takes a page and a text once", () => {
    const cache = new PrefixCache();
    cache.add(1, undefined, [7]);
    assert.throws(() => cache.add(2, undefined, [7]), /known already/);
    assert.throws(() => cache.add(1, undefined, [8]), /known already/);
  });
});
