import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LEGENDS, percent, stepOf, surpriseBits } from "./heat.ts";

describe("heat", () => {
  it("has the steps of its legend", () => {
    const steps = (measure: "probability" | "surprise", probabilities: readonly number[]) =>
      probabilities.map((p) => stepOf({ logprob: Math.log(p) }, measure));
    assert.deepEqual(
      steps("probability", [1, 0.51, 0.3, 0.11, 0.04, 0.02, 0.002, 1e-9]),
      [0, 0, 1, 2, 3, 4, 5, 6],
    );
    assert.deepEqual(
      steps("surprise", [1, 0.51, 0.26, 0.07, 0.02, 0.005, 0.0006, 1e-9]),
      [0, 0, 1, 2, 3, 4, 5, 6],
    );
    const ranks = [1, 2, 3, 4, 30, 100, 1000, 1001].map((rank) => stepOf({ logprob: -1, rank }, "rank"));
    assert.deepEqual(ranks, [0, 1, 1, 2, 3, 4, 5, 6]);
    for (const legend of Object.values(LEGENDS)) assert.equal(legend.length, 7);
  });

  it("is undefined if the number is not known", () => {
    assert.equal(stepOf({ logprob: null }, "probability"), undefined);
    assert.equal(stepOf({ logprob: -1 }, "rank"), undefined);
    assert.equal(stepOf({ logprob: -1, rank: 1 }, "none"), undefined);
  });

  it("shows surprise in bits and probabilities in percent", () => {
    assert.equal(surpriseBits(Math.log(0.25)), 2);
    assert.equal(Object.is(surpriseBits(0), 0), true);
    assert.deepEqual([1, 0.99999, 0.2468, 0.0123, 0.000004, 0].map(percent), [
      "100 %",
      "> 99.9 %",
      "24.7 %",
      "1.2 %",
      "< 0.001 %",
      "0 %",
    ]);
  });
});
