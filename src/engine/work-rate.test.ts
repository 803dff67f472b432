import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkRate } from "./work-rate.ts";

test("the rate is that of the passes so far, and forgets what is long ago", () => {
  const rate = new WorkRate();
  assert.equal(rate.tokensPerSecond, 0);
  rate.passed(100, 0.5);
  assert.equal(rate.tokensPerSecond, 200);
  for (let pass = 0; pass < 40; pass++) rate.passed(50, 0.1);
  // Four seconds at 500 tokens per second: the slow pass still counts more than half.
  assert.ok(rate.tokensPerSecond > 400 && rate.tokensPerSecond < 500, String(rate.tokensPerSecond));
  for (let pass = 0; pass < 1000; pass++) rate.passed(50, 0.1);
  assert.ok(Math.abs(rate.tokensPerSecond - 500) < 0.01, String(rate.tokensPerSecond));
});

test("a pass that took no time is no infinite rate", () => {
  const rate = new WorkRate();
  rate.passed(5, 0);
  assert.equal(rate.tokensPerSecond, 0);
});
