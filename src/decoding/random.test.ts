import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { philox, uniform } from "./random.ts";

describe("philox 4×32-10", () => {
  // Known answers of the Random123 library (kat_vectors).
  it("gives the published answers", () => {
    assert.deepEqual(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    assert.deepEqual(
      philox([ones, ones, ones, ones], [ones, ones]),
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    );
    assert.deepEqual(
      philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    );
  });
});

describe("uniform", () => {
  it("lies in [0, 1) and fills it evenly", () => {
    const bins = new Array<number>(20).fill(0);
    const draws = 20000;
    for (let i = 0; i < draws; i++) {
      const u = uniform(42, i % 7, i);
      assert.ok(u >= 0 && u < 1);
      bins[Math.floor(u * 20)] = (bins[Math.floor(u * 20)] as number) + 1;
    }
    const expected = draws / 20;
    const chiSquare = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    assert.ok(chiSquare < 43.8, `chi-square is ${chiSquare}`); // 19 degrees of freedom, p = 0.001
  });

  it("depends on seed, sequence and position", () => {
    const values = [uniform(1, 0, 5), uniform(2, 0, 5), uniform(1, 1, 5), uniform(1, 0, 6)];
    assert.equal(new Set(values).size, 4);
    assert.equal(uniform(1, 0, 5), values[0]);
  });
});
