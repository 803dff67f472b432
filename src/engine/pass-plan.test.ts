import assert from "node:assert/strict";
import { test } from "node:test";
import { planPass } from "./pass-plan.ts";

test("a prompt whose end has no row of logits left goes on up to its last token", () => {
  const prompt = (client: number) => ({ rows: 0, together: false, promptTokens: 2, client });
  const decode = { rows: 1, together: false, promptTokens: 0, client: 2 };
  const memory = { vocabSize: 8, contextLength: 16, pages: 8, pagePositions: 4 };
  const limits = { ...memory, maxBatchTokens: 8, maxLogitRows: 2 };
  assert.deepEqual(planPass([prompt(0), prompt(1), decode], limits), [2, 1, 1]);
});
