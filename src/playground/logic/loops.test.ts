import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loopAtEnd } from "./loops.ts";

describe("loops", () => {
  it("are found with their beginning and their shortest run", () => {
    assert.deepEqual(loopAtEnd([9, 8, 1, 2, 3, 1, 2, 3, 1, 2, 3]), { start: 2, period: 3, count: 3 });
    assert.deepEqual(loopAtEnd([5, 1, 2, 1, 2, 1, 2, 1]), { start: 1, period: 2, count: 3 });
    assert.deepEqual(loopAtEnd(new Array(12).fill(4)), { start: 0, period: 1, count: 12 });
  });

  it("are not found if a text repeats only a little, or not at its end", () => {
    assert.equal(loopAtEnd([1, 2, 3, 1, 2, 3]), undefined);
    assert.equal(loopAtEnd([7, 7, 7]), undefined);
    assert.equal(loopAtEnd([1, 2, 1, 2, 1, 2, 1, 2, 9]), undefined);
    assert.equal(loopAtEnd([]), undefined);
  });
});
