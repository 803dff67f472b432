// Same request, same bits: whatever else is in the batch, however prompts are cut, on any number of threads.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { LogitsRow } from "../../src/kernels/logits-row.ts";
import type { Backend } from "../../src/model/backend.ts";
import { loadModel } from "../../src/model/load.ts";
import { temporaryDirectory, writeCheckpoint } from "../support/checkpoints.ts";
import { Dice, randomRequest } from "../support/crowd.ts";
import { generateAll } from "../support/inline-engine.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

const shape = { V: 61, P: 64, C: 30, L: 2, H: 3, config: { eos_token_id: 60 } };
const path = writeCheckpoint(join(directory.path, "model"), { seed: 7, ...shape });

/** The same model with other limits of a pass: prompts are cut elsewhere. */
function withLimits(backend: Backend, maxBatchTokens: number, maxLogitRows: number): Backend {
  const limits = { ...backend.limits, maxBatchTokens, maxLogitRows };
  return { limits, forward: (batch) => backend.forward(batch), close: () => backend.close() };
}

/** Wraps a backend so that the bits of all its logits are collected, with the position they belong to. */
function recording(backend: Backend, bits: Set<string>): Backend {
  return {
    limits: backend.limits,
    close: () => backend.close(),
    forward: (batch) => {
      const rows = backend.forward(batch);
      const wanted = batch.chunks.filter((chunk) => chunk.logits !== "none");
      for (const [i, { position, tokenIds }] of wanted.entries()) {
        const row = Buffer.from((rows[i] as LogitsRow).values.slice().buffer).toString("base64");
        bits.add(`${position + tokenIds.length}:${row}`);
      }
      return rows;
    },
  };
}

describe("batch invariance", () => {
  const dice = new Dice(11);
  const requests = Array.from({ length: 60 }, () => randomRequest(dice, 61, 40, 64));

  it("answers and logits have the same bits alone and in a crowd, for 1 to 4 threads and any cut of the prompts", async () => {
    const alone = loadModel(path, { precision: "f32", kvCacheMb: 8, threads: 1 }).backend;
    const bitsAlone = new Set<string>();
    const expected = requests.map((request) => generateAll(recording(alone, bitsAlone), [60], [request])[0]);
    await alone.close();
    for (let threads = 1; threads <= 4; threads++) {
      const { backend } = loadModel(path, { precision: "f32", kvCacheMb: 8, threads });
      for (const maxBatchTokens of [5, 17, 128]) {
        const bits = new Set<string>();
        const limited = withLimits(recording(backend, bits), maxBatchTokens, Math.min(maxBatchTokens, 64));
        assert.deepEqual(generateAll(limited, [60], requests), expected);
        assert.deepEqual(bits, bitsAlone, `${threads} threads, ${maxBatchTokens} tokens`);
      }
      await backend.close();
    }
  });
});
