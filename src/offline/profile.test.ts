// The profile of a pass, on a small model with random weights. Times are not tested.
import assert from "node:assert/strict";
import { it } from "node:test";
import { parseGpt2Config } from "../model/gpt2-config.ts";
import { buildModel } from "../model/loading/load-model.ts";
import { decodePass, type Machine, prefillPasses } from "./measure.ts";
import { Profiler } from "./profile.ts";
import { randomTensors } from "./random-model.ts";

const CONFIG = { n_layer: 3, n_embd: 64, n_head: 2, vocab_size: 100, n_positions: 64 };
const MACHINE: Machine = { bandwidth: 1e9, ceilings: { int8: 1e9, rotated: 2e9 } };

it("names every kernel of a pass, counts it and knows its limit", async () => {
  const profiler = new Profiler();
  const config = parseGpt2Config(CONFIG, "small");
  const { backend } = buildModel(randomTensors(config), {
    ...{ precision: "int8", kernels: "wasm", threads: 2, kvCacheMb: 1 },
    instrument: profiler.instrument,
  });
  const pass = {
    copies: [],
    chunks: [{ pages: [0], position: 0, tokenIds: [1, 2, 3], logits: "last" }],
  } as const;
  const largestOf = () => backend.forward(pass)[0]?.largest();
  const whole = largestOf();

  const decode = decodePass(backend, config, { precision: "int8", rows: 2, context: 20 });
  const lines = new Map(profiler.profile("decode", decode, MACHINE).lines.map((line) => [line.name, line]));
  assert.deepEqual([...lines.keys()].toSorted(), [
    "attentionInt8",
    "embedHalf",
    "gatherRows",
    "layerNorm",
    "matmulInt8 64 × 192",
    "matmulInt8 64 × 256",
    "matmulRotated 256 × 64",
    "matmulRotated 64 × 100",
    "matmulRotated 64 × 64",
    "quantize 64",
    "quantizeRotated 256",
    "quantizeRotated 64",
    "storeKvInt8",
  ]);
  assert.equal(lines.get("layerNorm")?.count, 2 * CONFIG.n_layer + 1);
  assert.equal(lines.get("quantizeRotated 64")?.count, CONFIG.n_layer + 1);
  assert.equal(lines.get("layerNorm")?.limitMs, undefined);
  // 2 rows × 64 × 192 products at 1e9 a second, and 12 blocks of 1,088 bytes at 1e9 bytes a second.
  const limit = (count: number, each: number) => count * each * 1e3;
  near(
    lines.get("matmulInt8 64 × 192")?.limitMs,
    limit(3, Math.max((2 * 64 * 192) / 1e9, (12 * 1088) / 1e9)),
  );
  // 21 positions of 2 sequences and 2 heads. A head of 32 takes 1,088 bytes for 16 positions.
  near(lines.get("attentionInt8")?.limitMs, limit(3, (2 * 2 * 21 * 1088) / 16 / 1e9));

  const prefill = prefillPasses(backend, config, { precision: "int8", rows: 40, context: 0 });
  const profile = profiler.profile("prefill", prefill, MACHINE);
  assert.equal(profile.lines.find(({ name }) => name === "attentionInt8")?.limitMs, undefined);

  // Every second pass is taken apart.
  const largest: unknown[] = [];
  const { name } = profiler.profile("pass", () => largest.push(largestOf()), MACHINE);
  assert.equal(name, "pass");
  assert.ok(largest.length > 1);
  assert.deepEqual(new Set(largest), new Set([whole]), "a pass that is taken apart computes the same");
  await backend.close();
});

function near(actual: number | undefined, expected: number): void {
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-9 * expected, `${actual}, ${expected}`);
}
