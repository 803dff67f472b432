import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ruleValues } from "../../test/support/checkpoints.ts";
import { packageRoot } from "../generator/model-directory.ts";
import { PlainLogitsRow } from "../kernels/reference/plain-logits-row.ts";
import {
  type LogitsProcessor,
  logitBias,
  minNewTokens,
  minP,
  noRepeatNgram,
  occurrencePenalty,
  repetitionPenalty,
  temperature,
  topK,
  topP,
} from "./logits-processors.ts";

const OUT = Number.NEGATIVE_INFINITY;

/** The token ids that a processor leaves in a row. */
function kept(process: LogitsProcessor, row: number[], ids: number[] = []): number[] {
  const logits = new PlainLogitsRow(Float32Array.from(row));
  process(logits, ids);
  return [...logits.distribution().tokenIds];
}

/** The token ids that an n-gram ban removes from a row of ten. */
function banned(n: number, ids: number[]): number[] {
  const left = new Set(kept(noRepeatNgram(n), new Array(10).fill(0), ids));
  return [...Array(10).keys()].filter((id) => !left.has(id));
}

describe("the n-gram ban", () => {
  it("bans what followed the same n−1 tokens before", () => {
    assert.deepEqual(banned(2, [1, 2, 3, 1]), [2]);
    assert.deepEqual(banned(2, [1, 2, 1, 3, 1]), [2, 3]);
    assert.deepEqual(banned(3, [1, 2, 3, 4, 1, 2]), [3]);
    assert.deepEqual(banned(3, [1, 2, 3, 4, 2, 1]), []);
    assert.deepEqual(banned(4, [5, 1, 2, 3, 4, 1, 2, 3]), [4]);
  });

  it("sees overlapping runs", () => {
    assert.deepEqual(banned(2, [7, 7]), [7]);
    assert.deepEqual(banned(3, [7, 7]), []);
    assert.deepEqual(banned(3, [7, 7, 7]), [7]);
  });

  it("of size 1 bans all tokens that occurred", () => {
    assert.deepEqual(banned(1, [4, 2, 4]), [2, 4]);
  });

  it("bans nothing in a text shorter than n − 1 or without a repetition", () => {
    assert.deepEqual(banned(4, [1, 1]), []);
    assert.deepEqual(banned(2, [1]), []);
    assert.deepEqual(banned(2, []), []);
  });
});

describe("the filters", () => {
  it("top-k keeps all ties at the k-th place", () => {
    assert.deepEqual(kept(topK(2), [1, 3, 2, 2, 0]), [1, 2, 3]);
    assert.deepEqual(kept(topK(1), [1, 3, 2, 2, 0]), [1]);
  });

  it("top-k beyond the vocabulary changes nothing", () => {
    assert.deepEqual(kept(topK(5), [1, 3, 2, 2, 0]), [0, 1, 2, 3, 4]);
    assert.deepEqual(kept(topK(1e9), [1, 3, 2, 2, 0]), [0, 1, 2, 3, 4]);
  });

  it("top-k never lets a banned token in again", () => {
    assert.deepEqual(kept(topK(3), [1, OUT, OUT, OUT, 0]), [0, 4]);
  });

  it("top-p keeps the token that crosses p", () => {
    const row = [0.5, 0.3, 0.15, 0.05].map(Math.log);
    assert.deepEqual(kept(topP(0.45), row), [0]);
    assert.deepEqual(kept(topP(0.55), row), [0, 1]);
    assert.deepEqual(kept(topP(0.79), row), [0, 1]);
    assert.deepEqual(kept(topP(0.81), row), [0, 1, 2]);
    assert.deepEqual(kept(topP(0.96), row), [0, 1, 2, 3]);
  });

  it("top-p at an exact boundary takes no further token, and ties go by id", () => {
    assert.deepEqual(kept(topP(0.5), [0, 0, 0, 0]), [0, 1]);
    assert.deepEqual(kept(topP(0.51), [0, 0, 0, 0]), [0, 1, 2]);
  });

  it("top-p of nothing keeps one token", () => {
    assert.deepEqual(kept(topP(0), [0, 2, 1, 2]), [1]);
    assert.deepEqual(kept(topP(1e-9), [0, 2, 1]), [1]);
  });

  it("a row without any token left stays so", () => {
    assert.deepEqual(kept(topP(0.9), [OUT, OUT]), []);
    assert.deepEqual(kept(topK(1), [OUT, OUT]), []);
    assert.deepEqual(kept(temperature(0.5), [OUT, OUT]), []);
  });

  it("temperature divides, in f32", () => {
    const row = Float32Array.of(1, -2, OUT);
    temperature(0.7)(new PlainLogitsRow(row), []);
    assert.deepEqual(
      [...row],
      [1, -2, OUT].map((z) => Math.fround(z / Math.fround(0.7))),
    );
  });

  it("temperature beyond f32 leaves nearly equal logits, and banned tokens banned", () => {
    for (const value of [1e39, 1e300, Number.MAX_VALUE]) {
      const row = Float32Array.of(1, OUT, 3);
      temperature(value)(new PlainLogitsRow(row), []);
      assert.ok((row[2] as number) - (row[0] as number) < 1e-20 && row[1] === OUT, String(row));
    }
  });

  it("temperature next to 0 leaves the largest logit alone, without overflow", () => {
    for (const value of [1e-30, 1e-45, Number.MIN_VALUE]) {
      const row = Float32Array.of(-300, 250, 249.9999, OUT);
      temperature(value)(new PlainLogitsRow(row), []);
      assert.ok(row.every((z) => !Number.isNaN(z) && z < Number.POSITIVE_INFINITY));
      assert.deepEqual(kept(topP(0.999), [...row]), [1]);
    }
  });
});

interface Filter {
  readonly temperature: number;
  readonly top_k: number;
  readonly top_p: number;
  /** Number of tokens left, and the smallest probability among them. */
  readonly kept: number;
  readonly smallest: number;
  /** The most probable tokens, with their probabilities. */
  readonly top: readonly (readonly [id: number, probability: number])[];
}

interface Entry {
  readonly row: {
    readonly length: number;
    readonly seed: number;
    readonly scale: number;
    readonly step: number;
  };
  readonly filters: readonly Filter[];
}

describe("filtered distributions are those of transformers", () => {
  const file = join(packageRoot(), "test/fixtures/generation/distributions.json");
  const { entries } = JSON.parse(readFileSync(file, "utf8")) as { entries: readonly Entry[] };

  function filtered(values: Float32Array, filter: Filter): Map<number, number> {
    const row = new PlainLogitsRow(values);
    if (filter.temperature !== 1) temperature(filter.temperature)(row, []);
    if (filter.top_k > 0) topK(filter.top_k)(row, []);
    if (filter.top_p < 1) topP(filter.top_p)(row, []);
    const total = row.logSumExp();
    return new Map([...values].flatMap((z, id) => (z > OUT ? [[id, Math.exp(z - total)]] : [])));
  }

  /** Rounding of f32 sums decides at the edge of the nucleus. It may move by one token, on flat rows by one in 1000. */
  function assertAlike(found: Map<number, number>, { kept, smallest, top }: Filter): void {
    const slack = Math.max(1, kept / 1000);
    assert.ok(Math.abs(found.size - kept) <= slack, `${found.size} tokens are left, not ${kept}`);
    const edge = found.size === kept ? 1e-4 : 0.1;
    const least = Math.min(...[...found.values()]);
    assert.ok(Math.abs(least / smallest - 1) <= edge, `the least probability is ${least}, not ${smallest}`);
    for (const [id, probability] of top) {
      const p = found.get(id);
      if (p === undefined && probability === smallest) continue; // a tie at the edge, or the one token of difference
      const tolerance = found.size === kept ? 1e-4 : 2 * smallest;
      assert.ok(
        p !== undefined && Math.abs(p / probability - 1) <= tolerance,
        `P(${id}) is ${p}, not ${probability}`,
      );
    }
  }

  for (const { row, filters } of entries) {
    it(`on ${row.length} logits, seed ${row.seed}`, () => {
      const values = ruleValues("row", row.length, row.seed, row.scale, 0);
      const logits = row.step > 0 ? values.map((z) => roundHalfEven(z / row.step) * row.step) : values;
      for (const filter of filters) {
        try {
          assertAlike(filtered(logits.slice(), filter), filter);
        } catch (error) {
          const { temperature, top_k, top_p } = filter;
          throw new Error(`temperature ${temperature}, top-k ${top_k}, top-p ${top_p}`, { cause: error });
        }
      }
    });
  }
});

/** Rounds as NumPy does. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
}

describe("the penalties", () => {
  const after = (process: LogitsProcessor, row: number[], ids: number[]): number[] => {
    const logits = new PlainLogitsRow(Float32Array.from(row));
    process(logits, ids);
    return [...logits.values];
  };
  const f = Math.fround;

  it("of repetition divide what is not negative and multiply the rest, once for each token, prompt included", () => {
    assert.deepEqual(after(repetitionPenalty(2), [1, -1, 3, 0], [1, 2, 2, 3]), [1, -2, 1.5, 0]);
    assert.deepEqual(after(repetitionPenalty(1.3), [5, -5], [0, 1]), [f(5 / f(1.3)), f(-5 * f(1.3))]);
  });

  it("of frequency and presence count generated tokens only", () => {
    assert.deepEqual(after(occurrencePenalty(0.5, 1, 2), [4, 4, 4, 4], [0, 1, 1, 2, 2]), [4, 2.5, 2, 4]);
    assert.deepEqual(after(occurrencePenalty(0.5, 1, 2), [4, 4], [0, 1]), [4, 4]);
    assert.deepEqual(after(occurrencePenalty(-1, 0, 0), [1], [0, 0]), [3]);
  });

  it("of a bias add a number of f32", () => {
    const bias = new Map([
      [1, 0.1],
      [2, -100],
    ]);
    assert.deepEqual(after(logitBias(bias), [1, 1, 1], []), [1, f(1 + f(0.1)), -99]);
  });

  it("before the smallest number of new tokens ban what would end the text", () => {
    assert.deepEqual(after(minNewTokens(2, 1, [0, 9]), [1, 1], [5, 5]), [OUT, 1]);
    assert.deepEqual(after(minNewTokens(2, 1, [0, 9]), [1, 1], [5, 5, 5]), [1, 1]);
  });
});

describe("min-p", () => {
  it("keeps what is at least so many times as likely as the best", () => {
    const row = [0, Math.log(0.5), Math.log(0.25), Math.log(0.1)];
    assert.deepEqual(kept(minP(0.2), row), [0, 1, 2]);
    assert.deepEqual(kept(minP(0.3), row), [0, 1]);
  });

  it("of 1 keeps the best and its equals", () => {
    assert.deepEqual(kept(minP(1), [1, 3, 3, 2]), [1, 2]);
  });
});
