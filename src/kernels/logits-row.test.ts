// The plain row against sorts and sums, and the rows of all builds of the kernels against the plain one, bit for bit.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { uniform } from "../decoding/random.ts";
import { WasmExecutor } from "./host/executor.ts";
import { compileKernels } from "./host/kernel-build.ts";
import { nativeSets } from "./host/native-binding.ts";
import type { LogitsRow } from "./logits-row.ts";
import { Arena, LinearMemory, rowStride } from "./memory.ts";
import { type LogitsPlace, logitsScratchBytes } from "./program.ts";
import { log } from "./reference/double-math.ts";
import { PlainLogitsRow } from "./reference/plain-logits-row.ts";

const OUT = Number.NEGATIVE_INFINITY;

/** Seeded numbers on a grid, so that there are ties. */
const grid = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.round(40 * uniform(seed, 0, i)) / 4 - 5);

describe("a plain row", () => {
  it("argmax takes the first of equals", () => {
    assert.equal(new PlainLogitsRow(Float32Array.of(1, 3, 3, 2)).argmax(), 1);
    assert.equal(new PlainLogitsRow(Float32Array.of(OUT, OUT)).argmax(), 0);
  });

  it("argmax passes over NaN, and what is only NaN gives token 0", () => {
    assert.equal(new PlainLogitsRow(Float32Array.of(NaN, 1, NaN, 3, NaN)).argmax(), 3);
    assert.equal(new PlainLogitsRow(Float32Array.of(NaN, OUT)).argmax(), 1);
    assert.equal(new PlainLogitsRow(Float32Array.of(NaN, NaN)).argmax(), 0);
  });

  it("largest hides no NaN", () => {
    const largest = (...values: number[]): number => new PlainLogitsRow(Float32Array.of(...values)).largest();
    assert.equal(largest(1, 3, OUT, 2), 3);
    assert.equal(largest(1, Infinity), Infinity);
    assert.equal(largest(OUT, OUT), OUT);
    for (const row of [[NaN, 1, 2], [1, NaN, 2], [1, 2, NaN], [NaN, Infinity], [NaN]]) {
      assert.equal(largest(...row), NaN);
    }
  });

  it("NaN is not chosen, not taken away, and makes the log-probabilities NaN", () => {
    const values = [2, NaN, 1, NaN, 0, OUT];
    const after = (work: (row: PlainLogitsRow) => void): number[] => {
      const row = new PlainLogitsRow(Float32Array.from(values));
      work(row);
      return [...row.values];
    };
    const row = new PlainLogitsRow(Float32Array.from(values));
    assert.deepEqual(
      row.topK(5).map(({ tokenId }) => tokenId),
      [0, 2, 4, 1, 3],
    );
    assert.deepEqual([...row.distribution().tokenIds], [0, 2, 4]);
    assert.equal(row.logSumExp(), NaN);
    assert.deepEqual(
      after((row) => row.keepTopK(2)),
      [2, NaN, 1, NaN, OUT, OUT],
    );
    assert.deepEqual(
      after((row) => row.keepTopK(4)),
      values,
    );
    assert.deepEqual(
      after((row) => row.keepTopP(0.5)),
      [2, NaN, OUT, NaN, OUT, OUT],
    );
  });

  it("topK agrees with a sort", () => {
    for (let seed = 0; seed < 20; seed++) {
      const values = grid(57, seed);
      const sorted = [...values.entries()].sort(([i, a], [j, b]) => b - a || i - j);
      const expected = sorted.map(([tokenId, value]) => ({ tokenId, value }));
      for (const k of [1, 2, 7, 56, 57, 99]) {
        assert.deepEqual(new PlainLogitsRow(values).topK(k), expected.slice(0, k));
      }
    }
  });

  it("log-softmax sums to one", () => {
    const row = new PlainLogitsRow(grid(50257, 3));
    const total = row.logSumExp();
    assert.ok(Math.abs(row.values.reduce((sum, z) => sum + Math.exp(z - total), 0) - 1) < 1e-12);
    row.logSoftmax();
    assert.ok(Math.abs(row.logSumExp()) < 1e-6);
  });

  it("a distribution has the ids that are left and their running weights", () => {
    const { tokenIds, cumulative } = new PlainLogitsRow(Float32Array.of(OUT, 2, OUT, 2, 1)).distribution();
    assert.deepEqual([...tokenIds], [1, 3, 4]);
    assert.deepEqual([...cumulative.subarray(0, 2)], [1, 2]);
    assert.ok(Math.abs((cumulative[2] as number) - 2 - Math.exp(-1)) < 1e-15);
  });
});

/** The three numbers of f32 around a double. */
function neighbours(x: number): number[] {
  const bits = new Int32Array(Float32Array.of(x).buffer)[0] as number;
  return [...new Float32Array(Int32Array.of(bits - 1, bits, bits + 1).buffer)];
}

const MIN_P = [1e-9, 0.05, 0.3, 0.5, 0.7, 1];

/** Rows with ties, banned tokens, extremes, signed zeros and lengths that are not whole vectors. */
const ROWS: readonly (readonly [name: string, values: Float32Array])[] = [
  ...[1, 2, 13, 16, 61, 1000].map((length) => [`grid of ${length}`, grid(length, length)] as const),
  ["smooth", Float32Array.from({ length: 50257 }, (_, i) => 30 * uniform(4, 0, i) - 20)],
  ["flat", new Float32Array(4099).fill(-3.25)],
  ["far apart", Float32Array.from({ length: 77 }, (_, i) => (i % 7) * -200)],
  ["half banned", grid(501, 9).map((z, i) => (i % 2 ? OUT : z))],
  ["all banned", new Float32Array(33).fill(OUT)],
  ["one left", new Float32Array(40).fill(OUT).fill(1.5, 39)],
  ["zeros", Float32Array.from({ length: 50 }, (_, i) => (i % 3 ? 0 : -0))],
  ...[0, 3.75].map(
    (largest) =>
      [
        `around the thresholds of min-p, below ${largest}`,
        Float32Array.from([largest, ...MIN_P.slice(0, -1).flatMap((m) => neighbours(largest + log(m)))]),
      ] as const,
  ),
  ["extremes", Float32Array.of(3e38, -3e38, 1e-45, -1e-45, 0, OUT, 3e38)],
];

/** NaN and infinities at every place of a vector and of a row's end, alone, among others, and beside each other. */
const SPECIAL_ROWS: readonly (readonly [name: string, values: Float32Array])[] = [
  ...[NaN, Infinity, OUT].flatMap((special) => [
    ...Array.from(
      { length: 21 },
      (_, i) => [`${special} at ${i} of 21`, grid(21, 3).fill(special, i, i + 1)] as const,
    ),
    [`only ${special}`, new Float32Array(19).fill(special)] as const,
    [`only ${special}, whole vectors`, new Float32Array(32).fill(special)] as const,
    [`one number among ${special}`, new Float32Array(35).fill(special).fill(-4, 33, 34)] as const,
    [`every third ${special}`, grid(1000, 5).map((z, i) => (i % 3 === 0 ? special : z))] as const,
  ]),
  ["NaN and −∞ only", Float32Array.from({ length: 53 }, (_, i) => (i % 2 ? OUT : NaN))],
  ["NaN and ∞ only", Float32Array.from({ length: 53 }, (_, i) => (i % 2 ? Infinity : NaN))],
  ["∞ and −∞ only", Float32Array.from({ length: 53 }, (_, i) => (i % 2 ? Infinity : OUT))],
  ["all kinds", grid(500, 6).map((z, i) => [z, NaN, z, OUT, z, Infinity, z][i % 7] as number)],
  [
    "NaN of all bit patterns",
    new Float32Array(Int32Array.of(0x7fc00000, -0x400000, 0x7f800001, -1, 0, 1).buffer),
  ],
];

/** The operations on a row. Their results are compared, and the values of the row after them. */
type Operation = readonly [name: string, run: (row: LogitsRow) => unknown];
const OPERATIONS: readonly Operation[] = [
  ["largest", (row) => row.largest()],
  ["argmax", (row) => row.argmax()],
  ["logSumExp", (row) => row.logSumExp()],
  ["logSoftmax", (row) => row.logSoftmax()],
  ["divide", (row) => row.divide(0.7)],
  ["distribution", (row) => copyOf(row)],
  ...[1, 3, 50, 5000, 1e6].flatMap(
    (k) =>
      [
        [`topK ${k}`, (row: LogitsRow) => row.topK(k)],
        [`keepTopK ${k}`, (row: LogitsRow) => row.keepTopK(k)],
      ] as const,
  ),
  ...[1e-9, 0.1, 0.5, 0.92, 0.999999].map(
    (p) => [`keepTopP ${p}`, (row: LogitsRow) => row.keepTopP(p)] as const,
  ),
  ...MIN_P.flatMap((m) =>
    [0, 9].map(
      (k): Operation => [
        `top-k ${k}, then min-p ${m}`,
        (row) => {
          if (k > 0) row.keepTopK(k);
          row.keepMinP(m);
          return copyOf(row);
        },
      ],
    ),
  ),
  [
    "a sampled token's way",
    (row) => {
      row.divide(0.7);
      row.keepTopK(50);
      row.keepTopP(0.92);
      return copyOf(row);
    },
  ],
  [
    "tokens are taken away between the filters",
    (row) => {
      row.keepTopK(40);
      for (const { tokenId } of row.topK(3)) row.values[tokenId] = Number.NEGATIVE_INFINITY;
      row.keepTopK(30);
      for (let i = 0; i < row.values.length; i += 3) row.values[i] = Number.NEGATIVE_INFINITY;
      row.keepTopP(0.7);
      return [copyOf(row), copyOf(row)];
    },
  ],
];

function copyOf(row: LogitsRow): unknown {
  const { tokenIds, cumulative } = row.distribution();
  return [tokenIds.slice(), cumulative.slice()];
}

/** NaN has many bit patterns, and the processor may choose any of them. So they are made equal. */
function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.map((z) => (Number.isNaN(z) ? Number.NaN : z)).buffer);
}

for (const build of ["plain", "relaxed", ...nativeSets()] as const)
  describe(`a row with ${build} kernels`, () => {
    const width = Math.max(...ROWS.map(([, values]) => values.length));
    const arena = new Arena();
    const address = arena.floats(rowStride(width));
    const scratch = arena.allocate(logitsScratchBytes(width));
    const memory = new LinearMemory(arena.size);
    const kernels = compileKernels(build);
    const executor = WasmExecutor.start(memory, 1, [], kernels);

    it("does not take another row's tokens for its own", () => {
      const other = arena.floats(rowStride(width));
      const shared = new LinearMemory(arena.size);
      const both = WasmExecutor.start(shared, 1, [], kernels);
      const sources = ROWS.filter(([name]) => name === "smooth" || name === "grid of 1000").map(
        ([, values]) => values,
      );
      const rows = sources.map((values, i) => {
        const place = { address: i === 0 ? address : other, width: values.length, scratch };
        shared.floats(place.address, values.length).set(values);
        return both.logitsRow(place);
      });
      const plain = sources.map((values) => new PlainLogitsRow(values.slice()));
      const results = [rows, plain].map((pair) => {
        for (const row of pair) row.keepTopK(20);
        for (const row of pair) row.keepTopP(0.8);
        return pair.map(copyOf);
      });
      assert.deepEqual(results[0], results[1]);
    });

    for (const [index, [name, values]] of [...ROWS, ...SPECIAL_ROWS].entries()) {
      it(`has the plain row's bits: ${name}`, () => {
        const place: LogitsPlace = { address, width: values.length, scratch };
        for (const [at, [operation, run]] of OPERATIONS.entries()) {
          const plain = new PlainLogitsRow(values.slice());
          // Old contents of the memory, padding and scratch included.
          memory.f32.fill((index + at) % 2 ? 7 : Number.NaN);
          memory.floats(address, values.length).set(values);
          const row = executor.logitsRow(place);
          assert.ok(isDeepStrictEqual(run(row), run(plain)), `${operation}: another result`);
          const [found, expected] = [bitsOf(row.values), bitsOf(plain.values)];
          const wrong = expected.findIndex((word, i) => word !== found[i]);
          assert.equal(wrong, -1, `${operation}: value ${wrong} is ${row.values[wrong]}`);
        }
      });
    }
  });
