// Batch invariance: the same request gives the same bits, whatever else is in the batch or was aborted, however prompts are cut, on
// any number of threads, with native kernels or without, and whether keys and values are computed or cached. On a small checkpoint.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { LogitsRow } from "../../src/kernels/logits-row.ts";
import type { Backend } from "../../src/model/backend.ts";
import { loadModel } from "../../src/model/loading/load-model.ts";
import { temporaryDirectory, writeCheckpoint } from "../support/checkpoints.ts";
import { type CrowdRequest, Dice, randomRequest, runCrowd } from "../support/crowd.ts";
import { rowEnds } from "../support/fake-backend.ts";
import { generateAll } from "../support/inline-engine.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

const shape = { V: 61, P: 64, C: 30, L: 2, H: 3, config: { eos_token_id: 60 } };
const EOS = [60];
const path = writeCheckpoint(join(directory.path, "model"), { seed: 7, ...shape });

/** The same model with other limits for a pass, so that prompts are cut at other places. */
function withLimits(backend: Backend, maxBatchTokens: number): Backend {
  const maxLogitRows = Math.min(maxBatchTokens, backend.limits.maxLogitRows);
  const limits = { ...backend.limits, maxBatchTokens, maxLogitRows };
  return { limits, forward: (batch) => backend.forward(batch), close: () => backend.close() };
}

/** Wraps a backend and records the bits of all its logits, with their positions. */
function recording(backend: Backend, bits: Set<string>): Backend {
  return {
    limits: backend.limits,
    close: () => backend.close(),
    forward: (batch) => {
      const rows = backend.forward(batch);
      const ends = batch.chunks.flatMap(rowEnds);
      for (const [i, end] of ends.entries()) {
        const row = Buffer.from((rows[i] as LogitsRow).values.slice().buffer).toString("base64");
        bits.add(`${end}:${row}`);
      }
      return rows;
    },
  };
}

/** The same request with a negative frequency penalty, so that the text repeats itself. */
function repeatingItself({ prompt, decoding }: CrowdRequest): CrowdRequest {
  const penalties = { ...decoding.penalties, frequency: -0.4 };
  return { prompt, decoding: { ...decoding, penalties, maxLength: Math.max(decoding.maxLength, 60) } };
}

/** The beginnings of the crowd's prompts: two pages of tokens in different orders. */
const [a, b] = [501, 502].map((seed) => {
  const dice = new Dice(seed);
  return Array.from({ length: 16 }, () => dice.below(shape.V));
}) as [number[], number[]];
const documents = [[...a, ...b, ...a], [...b, ...a], [...a, ...a, ...b], b];

for (const precision of ["f32", "int8"] as const) {
  describe(`batch invariance in ${precision}`, () => {
    const dice = new Dice(11);
    const requests = Array.from({ length: 50 }, () => randomRequest(dice, shape.V, 40, shape.P, documents));

    it("has the same bits alone and in a crowd, for 1 to 4 threads, any cut and any cache", async () => {
      const { backend: alone } = loadModel(path, { precision, kvCacheMb: 1, threads: 1, kernels: "wasm" });
      const bitsAlone = new Set<string>();
      const expected = requests.map((request) => generateAll(recording(alone, bitsAlone), EOS, [request])[0]);
      const repeating = requests.map(repeatingItself);
      const expectedOfThese = repeating.map((request) => generateAll(alone, EOS, [request])[0]);
      await alone.close();
      let [numAborted, numFound, numAccepted, numWrong] = [0, 0, 0, 0];
      for (let threads = 1; threads <= 4; threads++) {
        const kernels = threads === 3 ? "wasm" : "auto";
        const { backend } = loadModel(path, { precision, kvCacheMb: 1, threads, kernels });
        for (const [i, maxBatchTokens] of [5, 17, 128].entries()) {
          const bits = new Set<string>();
          const limited = withLimits(recording(backend, bits), maxBatchTokens);
          const core = new EngineCore(limited, EOS, { prefixCache: (i + threads) % 2 === 0 });
          const { answers, aborted } = runCrowd(core, new Dice(threads * 10 + i), {
            numRequests: requests.length,
            aborts: 0.02,
            draw: (id) => requests[id] as CrowdRequest,
          });
          const crowd = `${threads} threads, ${maxBatchTokens} tokens`;
          for (const [id, answer] of answers)
            assert.deepEqual(answer, expected[id], `request ${id}, ${crowd}`);
          assert.equal(answers.size + aborted.size, requests.length);
          const strange = [...bits].filter((row) => !bitsAlone.has(row));
          assert.equal(strange.length, 0, `${strange.length} of ${bits.size} rows have other bits: ${crowd}`);
          numAborted += aborted.size;
          numFound += core.stats().prefixTokensHit;
        }
        // Rows after wrong guesses belong to no answer, so only the answers are compared here.
        const core = new EngineCore(withLimits(backend, threads % 2 ? 17 : 128), EOS, {
          prefixCache: threads > 2,
          speculation: true,
        });
        const { answers } = runCrowd(core, new Dice(threads), {
          numRequests: requests.length,
          aborts: 0.02,
          draw: (id) => repeating[id] as CrowdRequest,
        });
        for (const [id, answer] of answers)
          assert.deepEqual(answer, expectedOfThese[id], `request ${id}, ${threads} threads, with guesses`);
        const { tokensGuessed, tokensAccepted } = core.stats();
        numAccepted += tokensAccepted;
        numWrong += tokensGuessed - tokensAccepted;
        await backend.close();
      }
      assert.ok(numAccepted > 50 && numWrong > 5, `${numAccepted} right guesses, ${numWrong} wrong ones`);
      assert.ok(numAborted > 12 && numFound > 2000, `${numAborted} aborted, ${numFound} tokens found`);
    });
  });
}
