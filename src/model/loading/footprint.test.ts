import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../../test/support/checkpoints.ts";
import { Arena } from "../../kernels/memory.ts";
import { PAGE_POSITIONS } from "../../kernels/numbers.ts";
import { layoutGpt2, pageBytes } from "../gpt2.ts";
import { parseGpt2Config } from "../gpt2-config.ts";
import { footprintOf, memoryNeed, pagesFor, planMemory } from "./footprint.ts";
import { allocateStaging } from "./packing.ts";

const temporary = temporaryDirectory();
after(() => temporary.remove());

test("the footprint is that of the real layout, for any number of layers", () => {
  const shapes = [
    {},
    { n_layer: 0 },
    { n_layer: 1, n_embd: 16, n_head: 2 },
    { n_layer: 48, n_embd: 1600, n_head: 25 },
    { n_layer: 7, n_embd: 30, n_head: 3, vocab_size: 61, n_positions: 50, tie_word_embeddings: false },
  ];
  for (const shape of shapes) {
    for (const precision of ["int8", "f32"] as const) {
      const config = parseGpt2Config(shape, "config.json");
      const plan = planMemory(config, { precision, kvCacheMb: 64, threads: 3 });
      const arena = new Arena();
      const { weights } = layoutGpt2(arena, config, plan);
      allocateStaging(arena, config);
      assert.deepEqual(footprintOf(config, plan), {
        weights: weights.region.bytes,
        keysAndValues: plan.pages * pageBytes(config, precision),
        total: arena.size,
      });
    }
  }
});

test("8-bit keys and values take about a quarter of the memory of f32 ones", () => {
  const config = parseGpt2Config({}, "config.json");
  const positions = (precision: "int8" | "f32") => PAGE_POSITIONS * pagesFor(config, precision, 256);
  assert.equal(positions("f32"), 3632);
  assert.equal(positions("int8"), 14112);
});

test("a model needs at least one context of keys and values, and at most what the cache may hold", () => {
  const model = writeCheckpoint(join(temporary.path, "my-model"), { seed: 3, V: 61, P: 64 });
  const need = (kvCacheMb: number) => memoryNeed(model, { precision: "f32", kvCacheMb, threads: 1 });
  const [small, large] = [need(1), need(101)];
  assert.deepEqual([small.name, small.precision], ["my-model", "f32"]);
  assert.equal(large.least, small.least);
  assert.ok(small.least < small.full);
  assert.ok(Math.abs(large.full - small.full - 100 * 2 ** 20) < 2 ** 20);
});
