// Limits for the loss of quality through 8-bit arithmetic: on the shipped model, as it is and with added outlier channels, over one
// window of held-out text. `bench/quality` measures more text. A second test compares all bits of a pass with the plain TypeScript
// kernels.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AgreementMeter } from "../../bench/quality/agreement.ts";
import { PLANTINGS, plantOutliers } from "../../bench/quality/outliers.ts";
import { packageRoot, resolveModelDirectory } from "../../src/generator/model-directory.ts";
import type { LogitsRow } from "../../src/kernels/logits-row.ts";
import { Checkpoint } from "../../src/model/loading/checkpoint.ts";
import { buildModel, type ModelOptions } from "../../src/model/loading/load-model.ts";
import type { TensorSource } from "../../src/model/loading/tensor-source.ts";
import { logitsOf } from "../../src/offline/score.ts";
import { loadTokenizer } from "../../src/tokenizer/tokenizer-files.ts";

const MODEL = resolveModelDirectory("tiny");
const CONTEXT = 256;
const checkpoint = Checkpoint.open(MODEL);
after(() => checkpoint.close());

let tokenIds: readonly number[] = [];
before(async () => {
  const text = readFileSync(join(packageRoot(), "bench/quality/heldout/docs.txt"), "utf8");
  tokenIds = (await loadTokenizer(MODEL)).encode(text.slice(0, 8 * CONTEXT)).slice(0, CONTEXT);
});

const build = (source: TensorSource, options: Pick<ModelOptions, "precision" | "kernels">) =>
  buildModel(source, { ...options, kvCacheMb: 1, threads: 1 }).backend;

describe("int8 against f32", () => {
  for (const planting of ["none", ...PLANTINGS] as const) {
    it(`stays close to f32, planted outliers: ${planting}`, async () => {
      const source = planting === "none" ? checkpoint : plantOutliers(checkpoint, planting);
      const [f32, int8] = [build(source, { precision: "f32" }), build(source, { precision: "int8" })];
      const meter = new AgreementMeter();
      const rows = logitsOf(int8, tokenIds);
      let position = 0;
      for (const row of logitsOf(f32, tokenIds)) {
        meter.add(row, rows.next().value as LogitsRow, tokenIds[++position]);
      }
      await Promise.all([f32.close(), int8.close()]);
      const { positions, kl, top1, perplexity, referencePerplexity } = meter.result();
      assert.equal(positions, CONTEXT);
      assert.ok(kl <= 0.0006, `KL ${kl}`);
      assert.ok(top1 >= 0.97, `top-1 ${top1}`); // One of 256 rows is 0.4 %, so the limit of 98 % for longer texts is too strict.
      assert.ok(
        perplexity / referencePerplexity - 1 <= 0.003,
        `perplexity ${perplexity / referencePerplexity}`,
      );
    });
  }

  it("has the bits of the plain TypeScript kernels, in a whole pass", async () => {
    const planted = plantOutliers(checkpoint, "residual");
    const plain = build(planted, { precision: "int8", kernels: "reference" });
    const wasm = build(planted, { precision: "int8" });
    const bits = ({ values }: LogitsRow): Buffer => Buffer.from(values.slice().buffer);
    const some = tokenIds.slice(0, 6);
    const expected = Array.from(logitsOf(plain, some), bits);
    assert.deepEqual(Array.from(logitsOf(wasm, some), bits), expected);
    await Promise.all([plain.close(), wasm.close()]);
  });
});
