import assert from "node:assert/strict";
import { test } from "node:test";
import { planPass } from "./pass-plan.ts";

const limitsOf = (maxBatchTokens: number, maxLogitRows: number) => ({
  vocabSize: 8,
  contextLength: 16,
  pages: 8,
  pagePositions: 4,
  maxBatchTokens,
  maxLogitRows,
});
const nothing = { rows: 0, together: false, waited: 0, promptTokens: 0 };
const prompt = (client: number, promptTokens: number) => ({ ...nothing, client, promptTokens });
const sampled = (client: number, rows: number) => ({ ...nothing, client, rows });
const beams = (client: number, rows: number, waited = 0) => ({
  ...nothing,
  client,
  rows,
  waited,
  together: true,
});

test("a prompt whose end has no row of logits left goes on up to its last token", () => {
  const demands = [prompt(0, 2), prompt(0, 2), sampled(0, 1)];
  assert.deepEqual(planPass(demands, limitsOf(8, 2)), [2, 1, 1]);
});

test("half of a pass is for prompts, though the sequences of others could fill it", () => {
  assert.deepEqual(planPass([sampled(0, 64), prompt(1, 100)], limitsOf(64, 64)), [32, 32]);
});

test("a prompt makes a pass no longer than the sequences of another client could", () => {
  const limits = limitsOf(512, 64);
  assert.deepEqual(planPass([sampled(0, 30), prompt(1, 1000)], limits), [30, 98]);
  assert.deepEqual(planPass([sampled(0, 30), prompt(0, 1000)], limits), [30, 482]);
  assert.deepEqual(planPass([prompt(0, 1000), prompt(1, 1000)], limits), [288, 224]);
});

test("who wants less than an equal share has it, before others have more", () => {
  const demands = [sampled(0, 64), sampled(1, 3), beams(2, 3), sampled(3, 1), sampled(0, 64)];
  assert.deepEqual(planPass(demands, limitsOf(48, 48)), [9, 3, 3, 1, 8]);
  const prompts = [prompt(0, 500), prompt(1, 4), prompt(2, 30), prompt(3, 6), sampled(3, 2)];
  assert.deepEqual(planPass(prompts, limitsOf(128, 48)), [36, 4, 0, 6, 2]);
});

test("a beam search that is wider than its share saves it up, and then goes on whole", () => {
  const limits = limitsOf(64, 64);
  assert.deepEqual(planPass([beams(0, 40), beams(1, 30)], limits), [0, 30]);
  assert.deepEqual(planPass([beams(0, 40, 1), beams(1, 30)], limits), [40, 0]);
  assert.deepEqual(
    planPass([beams(0, 40, 7), sampled(1, 64), sampled(2, 64), sampled(3, 64)], limits),
    [40, 8, 8, 8],
  );
  assert.deepEqual(
    planPass([beams(0, 40, 1), sampled(1, 64), sampled(2, 64), sampled(3, 64)], limits),
    [0, 32, 16, 16],
  );
});

test("it takes from prompts what it needs", () => {
  assert.deepEqual(planPass([beams(0, 60), prompt(1, 100)], limitsOf(64, 64)), [0, 64]);
  assert.deepEqual(planPass([beams(0, 60, 1), prompt(1, 100)], limitsOf(64, 64)), [60, 4]);
});

test("it leaves something to whom stands before it", () => {
  assert.deepEqual(planPass([sampled(1, 4), beams(0, 64, 9)], limitsOf(64, 64)), [4, 0]);
  assert.deepEqual(planPass([sampled(1, 4), beams(0, 63, 9)], limitsOf(64, 64)), [1, 63]);
});

test("who wants much has no more than the others on average, or half of the pass together", () => {
  const six = [1, 2, 3, 4, 5, 6].map((client) => sampled(client, 5));
  assert.deepEqual(planPass([sampled(0, 64), ...six], limitsOf(64, 64)), [5, 5, 5, 5, 5, 5, 5]);
  assert.deepEqual(planPass([sampled(0, 64), sampled(1, 1)], limitsOf(64, 64)), [31, 1]);
  assert.deepEqual(planPass([sampled(0, 64), sampled(1, 64)], limitsOf(64, 64)), [32, 32]);
});

test("clients share a pass equally, however many requests each has; what is left goes by order", () => {
  const demands = [prompt(0, 1000), prompt(0, 1000), prompt(0, 1000), prompt(1, 1000)];
  // Of 448 tokens each client gets 224, and each request of the first client 74. The remaining 2 and 64 go to the first request.
  assert.deepEqual(planPass(demands, limitsOf(512, 64)), [140, 74, 74, 224]);
});
