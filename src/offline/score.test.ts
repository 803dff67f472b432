import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../test/support/checkpoints.ts";
import { loadModel } from "../model/loading/load-model.ts";
import { score, scoreStrided } from "./score.ts";

const CONTEXT = 16;
const directory = temporaryDirectory();
const path = writeCheckpoint(join(directory.path, "model"), { seed: 7, P: CONTEXT });
const { backend } = loadModel(path, { precision: "f32", kvCacheMb: 1, threads: 1 });
after(async () => {
  await backend.close();
  directory.remove();
});

const text = (length: number): number[] => Array.from({ length }, (_, i) => (i * i * 7 + 3 * i) % 61);

describe("scores in windows", () => {
  it("of a text that fits are the same as without windows", () => {
    for (const length of [1, 2, CONTEXT]) {
      assert.deepEqual(scoreStrided(backend, text(length), 5), score(backend, text(length)));
    }
  });

  it("give every token the context of the first window that has it", () => {
    for (const stride of [1, 3, 8, CONTEXT - 1, CONTEXT]) {
      for (const length of [CONTEXT + 1, 2 * CONTEXT, 3 * CONTEXT + 1, 50]) {
        const tokens = text(length);
        const { logprobs } = scoreStrided(backend, tokens, stride);
        assert.equal(logprobs.length, length - 1);
        for (const [i, found] of logprobs.entries()) {
          const token = i + 1;
          const begin = Math.ceil(Math.max(0, token + 1 - CONTEXT) / stride) * stride;
          const expected = score(backend, tokens.slice(begin, token + 1)).logprobs.at(-1) ?? null;
          assert.equal(found, expected, `stride ${stride}, length ${length}, token ${token}`);
        }
      }
    }
  });

  it("leave out the first token of a window when windows do not overlap", () => {
    const { logprobs } = scoreStrided(backend, text(40), CONTEXT);
    const unscored = [...logprobs.keys()].filter((i) => logprobs[i] === null);
    assert.deepEqual(unscored, [15, 31]);
  });

  it("are required for a text longer than the context", () => {
    assert.throws(() => score(backend, text(CONTEXT + 1)), { code: "prompt_too_long", message: /--stride/ });
  });
});
