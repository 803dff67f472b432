import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { argmax, exp, kthLargest, log, logSoftmax, logSumExp, topK } from "./numeric.ts";
import { uniform } from "./random.ts";

const row = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.round(40 * uniform(seed, 0, i)) / 4 - 5);

describe("exp and log", () => {
  it("agree with the platform's to a few units in the last place", () => {
    for (let x = -700; x <= 0; x += 0.37) {
      assert.ok(Math.abs(exp(x) / Math.exp(x) - 1) < 1e-14, `exp(${x}) is ${exp(x)}, not ${Math.exp(x)}`);
    }
    for (let x = 1e-300; x < 1e300; x *= 3.7) {
      assert.ok(Math.abs(log(x) - Math.log(x)) <= 2e-15 * Math.max(1, Math.abs(Math.log(x))), `log(${x})`);
    }
  });

  it("have their fixed points and ends", () => {
    assert.equal(exp(0), 1);
    assert.equal(log(1), 0);
    assert.equal(exp(Number.NEGATIVE_INFINITY), 0);
    assert.equal(exp(-709), 0);
  });
});

describe("selection", () => {
  it("argmax takes the first of equals", () => {
    assert.equal(argmax(Float32Array.of(1, 3, 3, 2)), 1);
    assert.equal(argmax(Float32Array.of(-Infinity, -Infinity)), 0);
  });

  it("kthLargest and topK agree with a sort", () => {
    for (let seed = 0; seed < 20; seed++) {
      const values = row(57, seed);
      const sorted = [...values.entries()].sort(([i, a], [j, b]) => b - a || i - j);
      for (const k of [1, 2, 7, 56, 57]) {
        assert.equal(kthLargest(values, k), sorted[k - 1]?.[1]);
        assert.deepEqual(
          topK(values, k),
          sorted.slice(0, k).map(([index, value]) => ({ index, value })),
        );
      }
    }
    assert.equal(topK(row(5, 1), 9).length, 5);
  });
});

describe("log-softmax", () => {
  it("sums to one", () => {
    const values = row(50257, 3);
    const total = logSumExp(values);
    assert.ok(Math.abs(values.reduce((sum, z) => sum + Math.exp(z - total), 0) - 1) < 1e-12);
    logSoftmax(values);
    assert.ok(Math.abs(logSumExp(values)) < 1e-6);
  });
});
