// Compares draws with the distributions that they should come from, by chi-square tests and G-tests at fixed seeds. A result
// fails if a fair source would give it with a probability below `UNLIKELY` (1e-4).
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ruleValues } from "../../test/support/checkpoints.ts";
import { chiSquareTail, fitTail, independenceTail, UNLIKELY } from "../../test/support/statistics.ts";
import { PlainLogitsRow } from "../kernels/reference/plain-logits-row.ts";
import { parseGenerationParams } from "../request/params.ts";
import type { DecodingParams } from "./decoding-params.ts";
import { makeStrategy } from "./make-strategy.ts";
import { uniform } from "./random.ts";
import { draw as drawFrom } from "./sampling.ts";
import type { Hypothesis } from "./strategy.ts";

const OUT = Number.NEGATIVE_INFINITY;
const PROMPT = [1, 2, 3];
const DRAWS = 60_000;

function decodingOf(request: object): DecodingParams {
  return parseGenerationParams({ input: "", ...request }, LIMITS).decoding;
}

const LIMITS = { contextLength: 1000, maxNumReturnSequences: 1e6, randomSeed: () => 0 };

/** A draw from a row without any processor. */
const draw = (row: Float32Array, u: number): number => drawFrom(new PlainLogitsRow(row).distribution(), u);

/** Runs a sampled search on a model with the same logits at every step. */
function sample(row: Float32Array, decoding: DecodingParams, eosTokenIds: number[] = []): Hypothesis[] {
  const context = { promptLength: PROMPT.length, eosTokenIds: new Set(eosTokenIds) };
  const strategy = makeStrategy(decoding, context);
  let sequences = [{ index: 0, tokenIds: PROMPT as readonly number[] }];
  while (sequences.length > 0) {
    const rows = sequences.map(() => new PlainLogitsRow(row.slice()));
    sequences = strategy.advance(sequences, rows).map(({ parent, index, tokenId }) => ({
      index,
      tokenIds: [...(sequences[parent]?.tokenIds ?? []), tokenId],
    }));
  }
  return strategy.results();
}

/** Counts of the tokens drawn in one step, by id. */
function histogram(row: Float32Array, request: object, draws: number): number[] {
  const decoding = decodingOf({ max_length: PROMPT.length + 1, num_return_sequences: draws, ...request });
  const counts = new Array<number>(row.length).fill(0);
  for (const { tokenIds } of sample(row, decoding)) {
    const id = tokenIds.at(-1) as number;
    counts[id] = (counts[id] as number) + 1;
  }
  return counts;
}

/** The expected distribution, straight from the definition: temperature, then the k largest, then the fewest that sum to p. */
function distribution(row: Float32Array, { temperature = 1, topK = 0, topP = 1 }): number[] {
  const weights = [...row].map((z) => Math.exp(z / temperature));
  const order = [...weights.keys()].sort((a, b) => (weights[b] as number) - (weights[a] as number));
  const head = order.slice(0, topK || row.length);
  const sum = (ids: number[]) => ids.reduce((total, id) => total + (weights[id] as number), 0);
  const all = sum(head);
  const size = head.findIndex((_, i) => sum(head.slice(0, i + 1)) >= topP * all) + 1;
  const nucleus = topP < 1 ? head.slice(0, size) : head;
  const kept = new Set(nucleus);
  return weights.map((weight, id) => (kept.has(id) ? weight / sum(nucleus) : 0));
}

describe("the statistics themselves", () => {
  it("know the tails of the chi-square distribution", () => {
    const known: [number, number, number][] = [
      [3.841459, 1, 0.05],
      [18.307038, 10, 0.05],
      [23.209251, 10, 0.01],
      [149.449253, 100, 0.001],
      [77.929465, 100, 0.95],
    ];
    for (const [x, degrees, tail] of known) {
      assert.ok(Math.abs(chiSquareTail(x, degrees) / tail - 1) < 1e-5, `${x}, ${degrees} degrees of freedom`);
    }
  });

  it("refuse a slight bias and a slight dependence", () => {
    assert.ok(fitTail([30_600, 29_400], [0.5, 0.5]) < UNLIKELY);
    const repeating = Array.from({ length: 10_000 }, (_, i): [number, number] => [
      i % 5,
      (i % 7 === 0 ? i : 3 * i) % 5,
    ]);
    assert.ok(independenceTail(repeating, 5) < UNLIKELY);
  });
});

describe("draws follow the filtered distribution", () => {
  const row = ruleValues("row", 61, 8, 9, 0);
  const cases: [request: object, filters: Parameters<typeof distribution>[1]][] = [
    [{ mode: "sample" }, { temperature: 0.7, topK: 50, topP: 0.92 }],
    [{ mode: "sample", temperature: 1.3, top_k: 0, top_p: 1 }, { temperature: 1.3 }],
    [
      { mode: "sample", temperature: 2, top_k: 7, top_p: 0.8 },
      { temperature: 2, topK: 7, topP: 0.8 },
    ],
    [
      { mode: "sample", temperature: 0.3, top_k: 0 },
      { temperature: 0.3, topP: 0.92 },
    ],
    [{ mode: "sample-top-p" }, { topK: 50, topP: 0.92 }],
    [{ mode: "sample-top-p", top_p: 0.5, top_k: 0 }, { topP: 0.5 }],
    [{ mode: "sample-top-p", top_p: 0.999, top_k: 0 }, { topP: 0.999 }],
    [{ mode: "sample-top-k" }, { topK: 50 }],
    [{ mode: "sample-top-k", top_k: 5 }, { topK: 5 }],
    [{ mode: "sample-top-k", top_k: 0 }, {}],
  ];
  for (const [number, [request, filters]] of cases.entries()) {
    it(JSON.stringify(request), () => {
      const expected = distribution(row, filters);
      const counts = histogram(row, { ...request, seed: 100 + number }, DRAWS);
      assert.ok(
        counts.every((count, id) => count === 0 || (expected[id] as number) > 0),
        "a token was drawn that the filters take away",
      );
      const tail = fitTail(counts, expected);
      assert.ok(tail > UNLIKELY, `a fair source deviates so far with probability ${tail}`);
    });
  }

  it("from seed to seed as within one seed", () => {
    const counts = new Array<number>(row.length).fill(0);
    for (let seed = 0; seed < 50_000; seed++) {
      const decoding = decodingOf({
        mode: "sample-top-k",
        top_k: 12,
        max_length: 4,
        num_return_sequences: 1,
        seed,
      });
      const id = sample(row, decoding)[0]?.tokenIds.at(-1) as number;
      counts[id] = (counts[id] as number) + 1;
    }
    const tail = fitTail(counts, distribution(row, { topK: 12 }));
    assert.ok(tail > UNLIKELY, `a fair source deviates so far with probability ${tail}`);
  });
});

describe("draws are independent", () => {
  const row = ruleValues("row", 6, 9, 3, 0);
  /** The tokens of two sequences of two steps, for many seeds. */
  const runs = Array.from({ length: 20_000 }, (_, seed) =>
    sample(row, decodingOf({ mode: "sample-top-k", max_length: 5, num_return_sequences: 2, seed })).map((h) =>
      h.tokenIds.slice(PROMPT.length),
    ),
  );
  const token = (run: number, sequence: number, step: number): number =>
    runs[run]?.[sequence]?.[step] as number;
  const pairs: [string, (run: number) => [number, number]][] = [
    ["between sequences", (run) => [token(run, 0, 0), token(run, 1, 0)]],
    ["between steps", (run) => [token(run, 0, 0), token(run, 0, 1)]],
    ["between one sequence's step and the next one's", (run) => [token(run, 0, 1), token(run, 1, 0)]],
    ["between neighbouring seeds", (run) => [token(run, 0, 0), token((run + 1) % runs.length, 0, 0)]],
  ];
  for (const [what, pair] of pairs) {
    it(what, () => {
      const tail = independenceTail(
        runs.map((_, run) => pair(run)),
        row.length,
      );
      assert.ok(tail > UNLIKELY, `independent draws are related so closely with probability ${tail}`);
    });
  }

  it("and a sequence's draws do not depend on how many sequences there are", () => {
    const request = { mode: "sample", max_length: 12, seed: 3 };
    const [alone] = sample(row, decodingOf({ ...request, num_return_sequences: 1 }));
    const many = sample(row, decodingOf({ ...request, num_return_sequences: 40 }));
    assert.deepEqual(many[0], alone);
    // That one sequence ends does not change the others.
    const ended = sample(row, decodingOf({ ...request, num_return_sequences: 40 }), [2]);
    for (const [i, { tokenIds, finishReason }] of ended.entries()) {
      const end = many[i]?.tokenIds.indexOf(2, PROMPT.length) as number;
      assert.deepEqual(tokenIds, end < 0 ? many[i]?.tokenIds : many[i]?.tokenIds.slice(0, end + 1));
      assert.equal(finishReason, end < 0 ? "length" : "stop");
    }
  });
});

describe("one draw", () => {
  /** A token's interval in [0, 1) has the length of its probability. `u` just inside gives the token, just outside another one. */
  function assertShares(
    row: Float32Array,
    probabilities: readonly number[],
    ids: Iterable<number>,
    margin: number,
  ) {
    const distribution = new PlainLogitsRow(row).distribution();
    const bounds = [0];
    for (const p of probabilities) bounds.push((bounds.at(-1) as number) + p);
    for (const id of ids) {
      const [low, high] = [bounds[id] as number, bounds[id + 1] as number];
      assert.equal(drawFrom(distribution, low + margin), id);
      assert.equal(drawFrom(distribution, high - margin), id);
      if (id > 0) assert.equal(drawFrom(distribution, low - margin), id - 1);
    }
  }

  it("gives 50,257 equal tokens equal shares", () => {
    const size = 50_257;
    const row = new Float32Array(size).fill(-3.25);
    const ids = Array.from({ length: 24 }, (_, i) => Math.floor((i * (size - 1)) / 23));
    assertShares(row, new Array(size).fill(1 / size), ids, 1e-10);
    const counts = new Array<number>(20).fill(0);
    const cells = counts.map(
      (_, cell) => Math.ceil(((cell + 1) * size) / 20) - Math.ceil((cell * size) / 20),
    );
    const request = { mode: "sample-top-k", top_k: 0, max_length: 4, num_return_sequences: 400, seed: 11 };
    for (const { tokenIds } of sample(row, decodingOf(request))) {
      const cell = Math.floor(((tokenIds.at(-1) as number) * 20) / size);
      counts[cell] = (counts[cell] as number) + 1;
    }
    const tail = fitTail(
      counts,
      cells.map((n) => n / size),
    );
    assert.ok(tail > UNLIKELY, `a fair source deviates so far with probability ${tail}`);
  });

  it("gives tokens of probability 1e-7 exactly their share, first or last in the row", () => {
    const z = Math.fround(Math.log(1e-7));
    const small = Math.exp(z);
    for (const row of [
      [z, 0, z, z],
      [0, z],
      [z, z, 0],
      [z, OUT, 0],
    ]) {
      const weights = row.map((value) => (value === OUT ? 0 : value === 0 ? 1 : small));
      const total = weights.reduce((sum, w) => sum + w, 0);
      const ids = row.flatMap((value, id) => (value === OUT ? [] : [id]));
      const probabilities = weights.map((w) => w / total);
      const inside = ids.filter((id) => id === 0 || row[id - 1] !== OUT);
      assertShares(Float32Array.from(row), probabilities, inside, 1e-13);
    }
  });

  it("never takes a token that is out, at either end of the interval", () => {
    const row = Float32Array.of(OUT, 1, OUT, 2, OUT);
    assert.equal(draw(row, 0), 1);
    assert.equal(draw(row, 1 - 2 ** -53), 3);
    assert.equal(draw(Float32Array.of(OUT, 5, OUT), 1 - 2 ** -53), 1);
  });

  it("at a bound belongs to the next token", () => {
    assert.equal(draw(Float32Array.of(0, 0), 0.5), 1);
    assert.equal(draw(Float32Array.of(3, 3, OUT, 3, 3), 0.5), 3);
  });

  it("has 53 random bits to go by", () => {
    for (const shift of [0, 16, 32, 48]) {
      const bins = new Array<number>(16).fill(0);
      for (let i = 0; i < 20_000; i++) {
        const bin = Math.floor(((uniform(13, 0, i) * 2 ** shift) % 1) * 16);
        bins[bin] = (bins[bin] as number) + 1;
      }
      assert.ok(fitTail(bins, new Array(16).fill(1 / 16)) > UNLIKELY, `the bits after the first ${shift}`);
    }
  });

  it("of a row in which everything is banned is token 0", () => {
    assert.equal(draw(Float32Array.of(OUT, OUT), 0.5), 0);
  });

  it("is monotone in u", () => {
    const row = ruleValues("row", 61, 10, 6, 0);
    let last = 0;
    for (let u = 0; u < 1; u += 1 / 4096) {
      const id = draw(row, u);
      assert.ok(id >= last, `u ${u}`);
      last = id;
    }
    assert.equal(last, 60);
  });
});
