import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { PLANTINGS, plantOutliers } from "../../../bench/quality/outliers.ts";
import { temporaryDirectory, writeCheckpoint } from "../../../test/support/checkpoints.ts";
import { logitsOf } from "../../offline/score.ts";
import { Checkpoint } from "./checkpoint.ts";
import { commonFactors, equalized } from "./equalize.ts";
import { buildModel } from "./load-model.ts";
import { numbersOf } from "./tensor.ts";
import type { TensorSource } from "./tensor-source.ts";

const directory = temporaryDirectory();
const path = writeCheckpoint(join(directory.path, "model"), { seed: 3, C: 32, H: 4 });
const checkpoint = Checkpoint.open(path);
after(() => {
  checkpoint.close();
  directory.remove();
});

const TOKENS = Array.from({ length: 40 }, (_, i) => (i * i * 7 + 3 * i) % 61);

function valuesOf(source: TensorSource, name: string, shape: readonly number[]): Float32Array {
  return numbersOf(
    source.tensor(name, shape),
    0,
    shape.reduce((product, n) => product * n, 1),
  );
}

async function logitsInF32(source: TensorSource): Promise<Float32Array[]> {
  const { backend } = buildModel(source, { precision: "f32", kvCacheMb: 1, threads: 1 });
  const rows = Array.from(logitsOf(backend, TOKENS), (row) => row.values.slice());
  await backend.close();
  return rows;
}

describe("equalized weights", () => {
  it("share out what activations and weights have in common, as powers of two", () => {
    const shares = (activation: number, weight: number): number =>
      commonFactors([1, 1, activation, 1, 1], () => [2, 2, 2 * weight, 2, 2])[2] as number;
    assert.equal(shares(40, 1 / 40), 32);
    assert.equal(shares(1 / 40, 40), 1 / 32);
    assert.equal(shares(64, 1 / 5), 4);
    assert.equal(shares(1.9, 1 / 1.9), 1);
    for (const [activation, weight] of [
      [40, 1],
      [1, 40],
      [40, 40],
      [1 / 9, 1 / 9],
      [0, 40],
      [40, 0],
    ] as const) {
      assert.equal(shares(activation, weight), 1, `${activation}, ${weight}`);
    }
  });

  it("leave a checkpoint without outliers as it is", () => {
    const same = equalized(checkpoint);
    for (const [name, shape] of [
      ["ln_f.weight", [32]],
      ["h.1.attn.c_attn.weight", [32, 96]],
    ] as const) {
      assert.deepEqual(valuesOf(same, name, shape), valuesOf(checkpoint, name, shape));
    }
  });

  for (const planting of PLANTINGS) {
    it(`give the same bits in f32, outliers planted: ${planting}`, async () => {
      const planted = plantOutliers(checkpoint, planting);
      assert.deepEqual(await logitsInF32(equalized(planted)), await logitsInF32(planted));
    });
  }

  it("have no outliers where the next matrix cancelled them", () => {
    for (const [planting, name, shape] of [
      ["norms", "h.0.ln_1.weight", [32]],
      ["norms", "h.1.ln_2.bias", [32]],
      ["norms", "ln_f.weight", [32]],
      ["values", "h.1.attn.c_attn.weight", [32, 96]],
    ] as const) {
      const before = valuesOf(checkpoint, name, shape);
      const planted = plantOutliers(checkpoint, planting);
      const largest = (source: TensorSource): number =>
        Math.max(...valuesOf(source, name, shape).map((value, i) => Math.abs(value / (before[i] as number))));
      assert.ok(largest(planted) > 59, `${name}: ${largest(planted)}`);
      assert.ok(largest(equalized(planted)) < 8, `${name}: ${largest(equalized(planted))}`);
    }
  });
});
