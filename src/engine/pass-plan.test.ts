import assert from "node:assert/strict";
import { test } from "node:test";
import { planPass } from "./pass-plan.ts";

const limitsOf = (maxBatchTokens: number, maxLogitRows: number) => ({
  ...{ vocabSize: 8, contextLength: 16, pages: 8, pagePositions: 4 },
  ...{ maxBatchTokens, maxLogitRows },
});
const prompt = (client: number, promptTokens: number) => ({
  ...{ rows: 0, together: false },
  ...{ promptTokens, client },
});
const sampled = (client: number, rows: number) => ({ rows, together: false, promptTokens: 0, client });
const beams = (client: number, rows: number) => ({ rows, together: true, promptTokens: 0, client });

test("a prompt whose end has no row of logits left goes on up to its last token", () => {
  const demands = [prompt(0, 2), prompt(1, 2), sampled(2, 1)];
  assert.deepEqual(planPass(demands, limitsOf(8, 2)), [2, 1, 1]);
});

test("a quarter of a pass is for prompts, though the sequences of others could fill it", () => {
  assert.deepEqual(planPass([sampled(0, 64), prompt(1, 100)], limitsOf(64, 64)), [48, 16]);
});

test("a beam search that has waited longest takes from prompts what it needs", () => {
  assert.deepEqual(planPass([beams(0, 60), prompt(1, 100)], limitsOf(64, 64)), [60, 4]);
  // It has not waited longest: what the prompt leaves is not enough for it.
  assert.deepEqual(planPass([prompt(1, 100), beams(0, 60)], limitsOf(64, 64)), [64, 0]);
});

test("a beam search that has waited longest is served whole, though that is more than its share", () => {
  assert.deepEqual(planPass([beams(0, 40), beams(1, 30)], limitsOf(64, 64)), [40, 0]);
  assert.deepEqual(planPass([beams(0, 30), beams(1, 40)], limitsOf(64, 64)), [30, 0]);
});

test("clients share a pass equally, however many requests each has; what is left goes by order", () => {
  const demands = [prompt(0, 1000), prompt(0, 1000), prompt(0, 1000), prompt(1, 1000)];
  // Of 448 tokens each client has 224, and each request of the first 74; 2 and then 64 are left.
  assert.deepEqual(planPass(demands, limitsOf(512, 64)), [140, 74, 74, 224]);
});
