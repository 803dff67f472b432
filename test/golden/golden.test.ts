// Reference numbers that every implementation of GPT-2 and of transformers' `generate` must give: logits, ids of greedy and beam
// search, and filtered distributions, for checkpoints made by the rule in `support/checkpoints.ts`. They were computed with
// releases 2.9 to 5.23 of transformers, on PyTorch in f32. If releases differ, the numbers are those of 4.50 and later.
// `conformance/` compares with an installed transformers.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { Search } from "../../src/decoding/decoding-params.ts";
import {
  type LogitsProcessor,
  noRepeatNgram,
  temperature,
  topK,
  topP,
} from "../../src/decoding/logits-processors.ts";
import { PlainLogitsRow } from "../../src/kernels/reference/plain-logits-row.ts";
import type { Backend } from "../../src/model/backend.ts";
import { loadModel } from "../../src/model/loading/load-model.ts";
import { score } from "../../src/offline/score.ts";
import { type CheckpointOptions, temporaryDirectory, writeCheckpoint } from "../support/checkpoints.ts";
import { beams, generateIds, someDecoding } from "../support/inline-engine.ts";

const directory = temporaryDirectory();
const backends: Backend[] = [];
after(async () => {
  for (const backend of backends) await backend.close();
  directory.remove();
});

function model(options: CheckpointOptions): Backend {
  const path = writeCheckpoint(join(directory.path, String(backends.length)), options);
  const { backend } = loadModel(path, { precision: "f32", kvCacheMb: 1, threads: 1 });
  backends.push(backend);
  return backend;
}

const PROMPT = [1, 2, 3, 4, 5];
const EOS = [60];

function logitsAfter(backend: Backend, tokenIds: readonly number[]): Float32Array {
  return score(backend, tokenIds).lastLogits;
}

function assertClose(actual: Iterable<number>, expected: readonly number[], tolerance: number): void {
  const numbers = [...actual];
  assert.equal(numbers.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(
      Math.abs((numbers[i] as number) - value) <= tolerance,
      `entry ${i}: ${numbers[i]} is not ${value}`,
    );
  }
}

const S7_LOGITS = [
  -0.0498, 3.5073, -5.9454, 1.7225, -2.92, 3.6874, -2.7861, -1.4666, 1.6896, -3.2908, 3.5183, -2.2724,
  -0.2783, 2.5869, -0.2837, -0.9591, -1.7213, 2.5789, -1.8971, -3.2813, -1.7831, -3.2382, 3.565, 2.8505,
  2.7096, -1.3334, 2.2493, -0.1791, -2.7327, -1.4692, 1.9854, -2.5328, 0.8899, 2.8836, -2.7224, 2.9933,
  -2.8673, -3.0059, -0.3105, 2.2842, 1.1482, -0.3032, -2.1981, -1.3017, -2.2919, 0.5354, -6.0086, -2.4817,
  -1.386, -1.5324, 1.0231, 3.3767, -2.5114, -0.5707, -0.5299, 1.0013, 1.3258, -1.4077, -0.9003, -3.8657,
  -2.8676,
];

describe("logits", () => {
  const s7 = model({ seed: 7 });

  it("are those of transformers at the last position", () => {
    assertClose(logitsAfter(s7, PROMPT), S7_LOGITS, 1e-4);
  });

  it("are those of transformers at every position", () => {
    const chunk = { pages: [0], position: 0, tokenIds: PROMPT, logits: "all" } as const;
    const rows = s7.forward({ copies: [], chunks: [chunk] });
    assert.deepEqual(
      rows.map((row) => row.argmax()),
      [40, 40, 51, 58, 5],
    );
    assertClose(
      rows.map((row) => row.logSumExp()),
      [6.52888, 5.8112, 5.81837, 6.31744, 5.80648],
      2e-5,
    );
  });

  it("give the log-probabilities of a text", () => {
    const { logprobs } = score(s7, [1, 2, 3, 4, 5, 5, 5, 51]);
    const expected = [14.14352, 8.08784, 9.41969, 7.74896, 2.11912, 2.02064, 1.75921];
    assertClose(
      logprobs.map((p) => -p),
      expected,
      2e-5,
    );
  });

  const variants: [string, Record<string, unknown>, number[]][] = [
    ["default", {}, [0.07035, 0.33995, -1.3735, -0.26876, -1.57065, 6.23355]],
    ["gelu", { activation_function: "gelu" }, [0.07028, 0.33996, -1.37363, -0.26847, -1.57083, 6.23352]],
    ["relu", { activation_function: "relu" }, [-0.05511, 0.63777, -1.40718, -0.37988, -1.34151, 6.29196]],
    ["silu", { activation_function: "silu" }, [0.0457, -0.14859, -1.11676, -0.28808, -1.87687, 6.34222]],
    ["tanh", { activation_function: "tanh" }, [-0.59291, -3.34584, 0.80246, 1.0604, -5.38782, 5.69953]],
    [
      "quick_gelu",
      { activation_function: "quick_gelu" },
      [0.06457, 0.31357, -1.36324, -0.26757, -1.58254, 6.24807],
    ],
    [
      "gelu_10",
      { activation_function: "gelu_10" },
      [0.07028, 0.33996, -1.37363, -0.26847, -1.57083, 6.23353],
    ],
    ["relu2", { activation_function: "relu2" }, [0.07977, 1.51664, -1.71593, -0.2297, -0.63544, 5.75122]],
    ["relu6", { activation_function: "relu6" }, [-0.05511, 0.63777, -1.40718, -0.37988, -1.34151, 6.29196]],
    [
      "leaky_relu",
      { activation_function: "leaky_relu" },
      [-0.05889, 0.62475, -1.39741, -0.38387, -1.35311, 6.29958],
    ],
    ["linear", { activation_function: "linear" }, [-0.86772, -0.40731, 0.37327, -0.88405, -2.63286, 6.6437]],
    [
      "sigmoid",
      { activation_function: "sigmoid" },
      [-1.02464, 0.43977, -0.30331, -0.82349, -1.29839, 6.0318],
    ],
    [
      "hardswish",
      { activation_function: "hardswish" },
      [0.05085, -0.34745, -0.94034, -0.36705, -1.95062, 6.45338],
    ],
    ["mish", { activation_function: "mish" }, [-0.00525, 0.22519, -1.12419, -0.42377, -1.68233, 6.39299]],
    [
      "laplace",
      { activation_function: "laplace" },
      [-0.59406, 0.34608, -1.20528, -0.06528, -1.18145, 5.90639],
    ],
    [
      "scale_attn_by_inverse_layer_idx",
      { scale_attn_by_inverse_layer_idx: true },
      [-0.23799, 0.82455, -1.34791, -0.5208, -1.22762, 6.31792],
    ],
    [
      "scale_attn_weights false",
      { scale_attn_weights: false },
      [0.90095, -0.31754, -0.99924, -0.20425, -1.34312, 5.52751],
    ],
    [
      "layer_norm_epsilon",
      { layer_norm_epsilon: 1e-3 },
      [0.06848, 0.33907, -1.37335, -0.26743, -1.573, 6.23501],
    ],
  ];
  for (const [name, config, expected] of variants) {
    it(`follow the config field: ${name}`, () => {
      const backend = model({ seed: 11, L: 3, F: 24, config });
      const logits = logitsAfter(backend, PROMPT);
      assertClose(logits.slice(0, 6), expected, 2e-5);
    });
  }
});

describe("generation without end of text", () => {
  const s7 = model({ seed: 7 });
  const ids = (maxLength: number, noRepeatNgramSize: number, search: Search, numReturnSequences = 1) =>
    generateIds(s7, EOS, PROMPT, someDecoding({ maxLength, noRepeatNgramSize, search, numReturnSequences }));
  const greedy: Search = { kind: "greedy" };

  it("greedy", () => {
    const expected = [
      1,
      2,
      3,
      4,
      5,
      5,
      5,
      51,
      51,
      49,
      3,
      51,
      17,
      3,
      51,
      17,
      23,
      23,
      23,
      23,
      23,
      23,
      23,
      51,
      17,
      3,
      3,
      51,
      17,
      3,
      3,
      3,
      3,
      3,
      ...new Array(24).fill(23),
      3,
      3,
      3,
      3,
      3,
      3,
      10,
    ];
    // The reference row has 65 tokens, one more than the model has positions.
    assert.deepEqual(ids(65, 0, greedy), [expected]);
  });

  it("greedy with an n-gram ban", () => {
    const bigrams = [1, 2, 3, 4, 5, 5, 1, 5, 51, 49, 3, 51, 17, 3, 23, 23, 51, 40, 26, 3, 10, 22, 3, 3, 22];
    assert.deepEqual(ids(25, 2, greedy), [bigrams]);
    assert.deepEqual(ids(12, 1, greedy), [[1, 2, 3, 4, 5, 22, 51, 23, 33, 48, 49, 26]]);
  });

  it("beams", () => {
    assert.deepEqual(ids(12, 0, beams(3)), [[1, 2, 3, 4, 5, 22, 22, 22, 22, 22, 51, 51]]);
  });

  it("beams with an n-gram ban, in order", () => {
    const common = [1, 2, 3, 4, 5, 22, 22, 51, 40, 40, 17, 51, 49, 3, 51, 51, 26, 1, 17];
    const ends = [
      [3, 10, 22, 3, 23, 23],
      [23, 1, 30, 40, 26, 10],
      [3, 10, 22, 3, 3, 23],
      [23, 1, 30, 40, 26, 22],
      [23, 1, 30, 40, 5, 23],
    ];
    assert.deepEqual(
      ids(25, 2, beams(5), 5),
      ends.map((end) => [...common, ...end]),
    );
  });

  it("a nucleus of nothing and a top-k of one are greedy", () => {
    const sample = (options: object): Search => ({
      kind: "sample",
      temperature: 1,
      topK: 0,
      topP: 1,
      ...options,
    });
    const expected = [[1, 2, 3, 4, 5, 5, 5, 51]];
    assert.deepEqual(ids(8, 0, sample({ topP: 0 })), expected);
    assert.deepEqual(ids(8, 0, sample({ topK: 1 })), expected);
  });
});

describe("filtered distributions", () => {
  const s7 = model({ seed: 7 });

  function distribution(backend: Backend, processors: readonly LogitsProcessor[]) {
    const values = logitsAfter(backend, PROMPT).slice();
    const row = new PlainLogitsRow(values);
    for (const process of processors) process(row, PROMPT);
    const total = row.logSumExp();
    return [...values.entries()]
      .filter(([, z]) => z > Number.NEGATIVE_INFINITY)
      .map(([token, z]) => ({ token, probability: Math.exp(z - total) }))
      .sort((a, b) => b.probability - a.probability);
  }

  type Case = [
    name: string,
    processors: readonly LogitsProcessor[],
    tokens: readonly number[],
    probabilities: readonly number[],
  ];
  const cases: Case[] = [
    [
      "top-k 50, top-p 0.92",
      [topK(50), topP(0.92)],
      [5, 22, 10, 1, 51, 35, 33, 23, 24, 13, 17, 39, 26, 30, 3, 8],
      [
        0.130581, 0.115545, 0.110273, 0.109068, 0.095708, 0.065228, 0.058456, 0.056548, 0.04912, 0.043449,
        0.043101, 0.032098, 0.030999, 0.023809, 0.018304, 0.017712,
      ],
    ],
    [
      "temperature 0.7, top-k 50, top-p 0.92",
      [temperature(0.7), topK(50), topP(0.92)],
      [5, 22, 10, 1, 51, 35, 33, 23, 24, 13, 17, 39],
      [
        0.171655, 0.144131, 0.134828, 0.132728, 0.110128, 0.063683, 0.054451, 0.051931, 0.042467, 0.03564,
        0.035234, 0.023125,
      ],
    ],
    ["top-k 5", [topK(5)], [5, 22, 10, 1, 51], [0.232693, 0.205898, 0.196504, 0.194356, 0.17055]],
    [
      "temperature 0.7, top-k 5, top-p 0.8",
      [temperature(0.7), topK(5), topP(0.8)],
      [5, 22, 10, 1],
      [0.294261, 0.247077, 0.231131, 0.227531],
    ],
  ];
  for (const [name, processors, tokens, probabilities] of cases) {
    it(name, () => {
      const actual = distribution(s7, processors);
      assert.deepEqual(
        actual.map((t) => t.token),
        tokens,
      );
      assertClose(
        actual.map((t) => t.probability),
        probabilities,
        3e-6,
      );
    });
  }

  it("of another checkpoint: temperature 0.7, top-k 5, top-p 0.8", () => {
    const actual = distribution(model({ seed: 6 }), [temperature(0.7), topK(5), topP(0.8)]);
    assert.deepEqual(
      actual.map((t) => t.token),
      [12, 18],
    );
    assertClose(
      actual.map((t) => t.probability),
      [0.846554, 0.153446],
      3e-6,
    );
  });

  it("no top-k beyond the vocabulary, and the n-gram ban takes tokens away", () => {
    assert.equal(distribution(s7, [topK(1000)]).length, 61);
    assert.equal(distribution(s7, [noRepeatNgram(1)]).length, 56);
  });
});

describe("generation with end of text", () => {
  const E = (V: number): number => V - 1;
  const cut = (rows: readonly (readonly number[])[], prompt: readonly number[]) =>
    rows.map((r) => r.slice(prompt.length));

  it("greedy and beams with an n-gram ban", () => {
    const backend = model({ seed: 6 });
    const run = (search: Search, numReturnSequences: number) => {
      const decoding = someDecoding({ maxLength: 25, noRepeatNgramSize: 2, search, numReturnSequences });
      return cut(generateIds(backend, EOS, PROMPT, decoding), PROMPT);
    };
    const first = [12, 12, 1, 55, 6, 6, 26, 26, 23];
    assert.deepEqual(run({ kind: "greedy" }, 1), [[...first, 23, 60]]);
    for (const earlyStopping of [false, true]) {
      assert.deepEqual(run(beams(5, { earlyStopping }), 5), [
        [...first, 23, 60],
        [...first, 60],
        [...first, 23, 12, 23, 60],
        [...first, 23, 12, 23, 22, 22, 9, 19, 55, 55, 54, 6],
        [...first, 23, 12, 23, 22, 22, 9, 19, 55, 55, 1, 1],
      ]);
    }
  });

  it("the stop test of today's beam search", () => {
    const backend = model({ seed: 15, V: 13, ws: 1 });
    const decoding = someDecoding({ maxLength: 7, search: beams(2), numReturnSequences: 2 });
    assert.deepEqual(cut(generateIds(backend, [E(13)], [2], decoding), [2]), [[5, 5, 12], [12]]);
  });

  it("the last step of today's beam search", () => {
    const backend = model({ seed: 156, V: 29, ws: 2 });
    const prompt = [24, 11, 4];
    const search = beams(2, { earlyStopping: true });
    const decoding = someDecoding({ maxLength: 9, search, numReturnSequences: 2 });
    assert.deepEqual(cut(generateIds(backend, [E(29)], prompt, decoding), prompt), [
      [6, 6, 6, 6, 6, 6],
      [6, 6, 6, 6, 6, 28],
    ]);
  });

  it("three beams with a ban", () => {
    const backend = model({ seed: 430, V: 29, ws: 3 });
    const prompt = [0, 4, 6];
    const decoding = someDecoding({
      maxLength: 15,
      noRepeatNgramSize: 2,
      search: beams(3),
      numReturnSequences: 3,
    });
    assert.deepEqual(cut(generateIds(backend, [E(29)], prompt, decoding), prompt), [
      [10, 21, 21, 23, 9, 16, 16, 25, 25, 9, 5, 5],
      [10, 21, 21, 23, 9, 16, 16, 25, 13, 13, 25, 25],
      [10, 21, 21, 23, 9, 16, 16, 25, 25, 9, 5, 11],
    ]);
  });
});
