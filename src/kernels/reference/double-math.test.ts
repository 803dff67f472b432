import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { exp, log } from "./double-math.ts";

describe("exp and log in double precision", () => {
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
    assert.equal(exp(Number.NaN), 0);
    assert.equal(log(0), Number.NEGATIVE_INFINITY);
    assert.equal(log(Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY);
    assert.ok(Number.isNaN(log(-1)) && Number.isNaN(log(Number.NaN)));
  });
});
