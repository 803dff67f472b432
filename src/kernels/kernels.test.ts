// The WebAssembly kernels against the plain TypeScript ones, bit for bit: the same program on the same memory image
// must leave the same memory image, with any number of threads.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { uniform } from "../decoding/random.ts";
import { chooseBuild } from "./host/choose-build.ts";
import { WasmExecutor } from "./host/executor.ts";
import { compileKernels, preferredBuild } from "./host/kernel-build.ts";
import { nativeSets } from "./host/native-binding.ts";
import { Arena, LinearMemory, rowStride } from "./memory.ts";
import {
  ATTENTION_ROWS_MAX,
  BLOCK,
  BLOCK_BYTES,
  GROUP,
  KV_SCALE_BYTES,
  PAGE_POSITIONS,
  QUANTIZED_GROUP_BYTES,
} from "./numbers.ts";
import {
  ACTIVATIONS,
  type Activation,
  allocateProgram,
  allocateQuantized,
  type Executor,
  headBytes,
  Kernels,
  type KvKind,
  type KvLayer,
  type QuantizedKind,
} from "./program.ts";
import { ReferenceExecutor } from "./reference/kernels.ts";

const THREADS = 3;
const BUILDS = (["plain", "relaxed", ...nativeSets()] as const).map(compileKernels);

/** Reserves operands in an arena and records kernels over them. */
interface Case {
  readonly name: string;
  /** One number in so many is special: NaN, infinite, a negative zero, tiny or huge. */
  readonly rare?: number;
  readonly build: (arena: Arena, own: Private[]) => (kernels: Kernels, memory: LinearMemory) => void;
}

/** Memory that is not compared: each build has its own layout in it. */
interface Private {
  readonly address: number;
  readonly bytes: number;
}

/** Runs a case on a fresh memory filled with seeded numbers, and returns the memory after it. */
async function imageAfter(test: Case, start: (memory: LinearMemory) => Executor): Promise<Int32Array> {
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: 16, contextLength: 64, threads: THREADS });
  const dataStart = arena.size;
  const own: Private[] = [];
  const record = test.build(arena, own);
  const memory = new LinearMemory(arena.size);
  for (let i = dataStart >>> 2; i < arena.size >>> 2; i++) memory.f32[i] = valueAt(i, test.rare ?? 0);
  const executor = start(memory);
  const kernels = new Kernels(executor, space);
  record(kernels, memory);
  kernels.run();
  await executor.close();
  for (const { address, bytes } of own) memory.ints(address, bytes / 4).fill(0);
  // NaN has many bit patterns, and the processor may choose any of them. So they are made equal.
  for (let i = dataStart >>> 2; i < arena.size >>> 2; i++) {
    if (Number.isNaN(memory.f32[i])) memory.f32[i] = Number.NaN;
  }
  return memory.i32.slice(dataStart >>> 2, arena.size >>> 2);
}

/** Numbers of both signs. If `rare` is not 0, one of `rare` numbers is a special one. */
function valueAt(i: number, rare: number): number {
  const specials = [Number.NaN, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-40, -3e38];
  if (rare > 0 && uniform(7, 0, i) < 1 / rare) return specials[i % specials.length] as number;
  return 4 * uniform(5, 0, i) - 2;
}

async function assertSameBits(test: Case, threadsMax = THREADS): Promise<void> {
  const expected = await imageAfter(test, (memory) => new ReferenceExecutor(memory));
  for (let threads = 1; threads <= threadsMax; threads++) {
    for (const kernels of BUILDS) {
      const actual = await imageAfter(test, (memory) => WasmExecutor.start(memory, threads, [], kernels));
      const at = actual.findIndex((word, i) => word !== expected[i]);
      const where = `${test.name}, ${kernels.build}, ${threads} threads`;
      assert.equal(at, -1, `${where}: word ${at} is ${actual[at]}, not ${expected[at]}`);
    }
  }
}

function matmulCase(
  rows: number,
  inWidth: number,
  outWidth: number,
  epilogue: "store" | "add" | Activation,
): Case {
  return {
    name: `matmul [${rows}, ${inWidth}]·[${inWidth}, ${outWidth}], ${epilogue}`,
    build: (arena) => {
      const x = arena.floats(rows * rowStride(inWidth));
      const out = arena.floats(rows * rowStride(outWidth));
      const weight = arena.floats(inWidth * rowStride(outWidth));
      const bias = epilogue === "store" ? 0 : arena.floats(rowStride(outWidth));
      return (k) => k.matmul(out, x, { kind: "f32", weight, bias, inWidth, outWidth }, rows, epilogue);
    },
  };
}

/**
 * Activations of all sizes, including groups of zeros and of tiny numbers. Weights are the bytes with which memory was filled.
 */
function int8Case(
  kind: QuantizedKind,
  rows: number,
  inWidth: number,
  outWidth: number,
  epilogue: "store" | "add" | Activation,
): Case {
  return {
    name: `${kind} matmul [${rows}, ${inWidth}]·[${inWidth}, ${outWidth}], ${epilogue}`,
    build: (arena, own) => {
      const groups = Math.ceil(inWidth / GROUP);
      const x = arena.floats(rows * rowStride(inWidth));
      const quantized = allocateQuantized(arena, { rows, width: inWidth });
      const out = arena.floats(rows * rowStride(outWidth));
      const weight = arena.allocate(Math.ceil(outWidth / BLOCK) * groups * BLOCK_BYTES);
      const bias = epilogue === "store" ? 0 : arena.floats(rowStride(outWidth));
      own.push({ address: quantized.values, bytes: QUANTIZED_GROUP_BYTES * rows * groups });
      own.push({ address: quantized.scales, bytes: 4 * rows * groups });
      return (k, memory) => {
        const row = (i: number): Float32Array => memory.floats(x + 4 * i * rowStride(inWidth), inWidth);
        row(0).fill(0, 0, Math.min(GROUP, inWidth - 1));
        for (let i = 0; i < inWidth; i++) row(0)[i] = (row(0)[i] as number) * 2 ** (i % 30);
        // The inverse of such a group's scale is infinite.
        if (rows > 1)
          for (let i = 0; i < Math.min(GROUP, inWidth); i++) row(1)[i] = (row(1)[i] as number) * 1e-38;
        const linear = { kind, weight, bias, inWidth, outWidth };
        k.quantize(kind, quantized, x, { rows, width: inWidth });
        k.matmulQuantized(out, quantized, linear, rows, epilogue);
      };
    },
  };
}

/** The positions of a sequence that have rows. Its pages are scattered. */
type Sequence = readonly number[];

function run(from: number, rows: number): Sequence {
  return Array.from({ length: rows }, (_, i) => from + i);
}

const PAGES_EACH = 4;

function attentionCase(kind: KvKind, heads: number, headSize: number, sequences: readonly Sequence[]): Case {
  const positions = sequences.flat();
  const owners = sequences.flatMap(({ length }, sequence) => new Array<number>(length).fill(sequence));
  const width = heads * headSize;
  const rows = positions.length;
  return {
    name: `${kind} attention with ${heads} heads of ${headSize}, positions ${positions}`,
    build: (arena) => {
      const listed = rows + ATTENTION_ROWS_MAX;
      const [tokens, places, pageTables] = [arena.floats(rows), arena.floats(listed), arena.floats(listed)];
      const table = { tokens, positions: places, pageTables, rows };
      const numPages = sequences.length * PAGES_EACH;
      const pageNumbers = arena.floats(numPages);
      const qkv = arena.floats(rows * rowStride(3 * width));
      const out = arena.floats(rows * rowStride(width));
      const pageBytes = heads * headBytes(kind, headSize);
      const kv = { kind, address: arena.allocate(pageBytes * numPages), pageBytes, heads, headSize };
      return (k, memory) => {
        // The last sequence continues after the rows of this pass.
        const last = positions.at(-1) as number;
        memory.ints(places, listed).set([...positions, ...run(last + 1, ATTENTION_ROWS_MAX)]);
        const tables = owners.map((owner) => pageNumbers + 4 * PAGES_EACH * owner);
        memory.ints(pageTables, listed).fill(tables.at(-1) as number);
        memory.ints(pageTables, rows).set(tables);
        memory
          .ints(pageNumbers, numPages)
          .set(Array.from({ length: numPages }, (_, i) => (i * 7) % numPages));
        if (kind === "int8") fillScales(memory, kv, numPages);
        // Keys whose scale is 0, and values whose scale is so small that its inverse is infinite.
        memory.floats(qkv + 4 * width, headSize).fill(0);
        const values = memory.floats(qkv + 8 * width, headSize);
        values.set(values.map((value) => value * 1e-38));
        k.storeKv(qkv, table, kv);
        k.attention(out, qkv, table, kv, 0.3);
      };
    },
  };
}

/**
 * Gives the positions of earlier passes scales of ordinary size, and special scales where the floats in memory are special: the
 * upper half of a float is the same number in bfloat16.
 */
function fillScales(
  memory: LinearMemory,
  { address, kind, headSize, heads }: KvLayer,
  numPages: number,
): void {
  const each = headBytes(kind, headSize);
  for (let head = address; head < address + each * heads * numPages; head += each) {
    const end = head + each - 2 * KV_SCALE_BYTES * PAGE_POSITIONS;
    const scales = new Uint16Array(memory.wasm.buffer, end, 2 * PAGE_POSITIONS);
    const bits = memory.ints(head, PAGE_POSITIONS);
    scales.forEach((_, i) => {
      scales[i] = ((bits[i % PAGE_POSITIONS] as number) >>> 16) & 0x7fff;
    });
  }
}

/** One row each, as in decoding; prompts, whole and in part, with rows of others before, between and after; and gaps. */
const DECODING: readonly Sequence[] = [0, 3, 15, 16, 40].map((from) => [from]);
const PROMPTS: readonly Sequence[] = [run(5, 1), run(0, 23), run(30, 2), run(13, 9), run(47, 1)];
/** Prompts of all numbers of rows that a native kernel computes together. */
const TILES: readonly Sequence[] = [3, 4, 5, 6, 7, 8].map((rows) => run(3 * rows, rows));
const GAPS: readonly Sequence[] = [
  [0, 2, 3, 5, 6, 7, 9, 10, 11, 12, 14],
  [20, 21, 22, 24, 25],
  [33, 30, 31, 32, 29],
];

const rowCases: Case[] = [
  {
    name: "embed",
    build: (arena) => {
      const [rows, width, vocabulary] = [5, 21, 40];
      const table = { tokens: arena.floats(rows), positions: arena.floats(rows), pageTables: 0, rows };
      const wte = arena.floats(width * rowStride(vocabulary));
      const wpe = arena.floats(8 * rowStride(width));
      const halves = arena.allocate(2 * vocabulary * width);
      const [out, outOfHalves] = [
        arena.floats(rows * rowStride(width)),
        arena.floats(rows * rowStride(width)),
      ];
      return (k, memory) => {
        memory.ints(table.tokens, rows).set([0, 15, 16, 39, 2]);
        // All signs and exponents but those of infinities, subnormals included.
        const bits = (i: number): number => (Math.imul(i, 40503) & 0xffff) % 0xfc00;
        const stored = new Uint16Array(memory.wasm.buffer, halves, vocabulary * width);
        for (let i = 0; i < stored.length; i++) stored[i] = (bits(i) & 0x7c00) === 0x7c00 ? 0 : bits(i);
        memory.ints(table.positions, rows).set([0, 7, 3, 1, 1]);
        k.embed(out, { kind: "panels", address: wte }, wpe, width, table);
        k.embed(outOfHalves, { kind: "half", address: halves }, wpe, width, table);
      };
    },
  },
  ...[16, 21, 64, 100].map((width) => ({
    name: `layer norm of ${width}`,
    build: (arena: Arena) => {
      const rows = 4;
      const x = arena.floats(rows * rowStride(width));
      const out = arena.floats(rows * rowStride(width));
      const norm = {
        weight: arena.floats(rowStride(width)),
        bias: arena.floats(rowStride(width)),
        epsilon: 1e-5,
      };
      return (k: Kernels) => k.layerNorm(out, x, norm, { rows, width });
    },
  })),
  {
    name: "gather rows and copy pages",
    build: (arena) => {
      const [rows, width, pageBytes] = [3, 20, 256];
      const [x, out, indices] = [arena.floats(5 * 32), arena.floats(rows * 32), arena.floats(rows)];
      const [pages, pairs] = [arena.allocate(6 * pageBytes), arena.floats(4)];
      return (k, memory) => {
        memory.ints(indices, rows).set([4, 0, 2]);
        memory.ints(pairs, 4).set([0, 5, 3, 1]);
        k.gatherRows(out, x, indices, { rows, width });
        k.copyPages(pairs, 2, { address: pages, pageBytes });
      };
    },
  },
];

describe("WebAssembly kernels give the reference's bits", () => {
  const shapes = [1, 2, 3, 4, 5, 9].flatMap((rows) => [
    matmulCase(rows, 33, 70, "store"),
    matmulCase(rows, 16, 48, "add"),
    matmulCase(rows, 130, 300, "gelu_new"),
  ]);
  const activations = (Object.keys(ACTIVATIONS) as Activation[]).map((name) => matmulCase(3, 8, 40, name));
  const attentions = (
    [
      [1, 1],
      [3, 10],
      [2, 16],
      [3, 37],
      [5, 64],
    ] as const
  ).flatMap(([heads, size]) =>
    [DECODING, PROMPTS, GAPS].flatMap((rows) =>
      (["f32", "int8"] as const).map((kind) => attentionCase(kind, heads, size, rows)),
    ),
  );
  attentions.push(attentionCase("int8", 2, 20, TILES), attentionCase("f32", 2, 20, TILES));
  // Larger than any head that is computed in tiles.
  attentions.push(attentionCase("int8", 1, 260, PROMPTS), attentionCase("f32", 1, 260, PROMPTS));
  const int8 = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 25].flatMap((rows) =>
    (["int8", "rotated"] as const).flatMap((kind) => [
      int8Case(kind, rows, 128, 12, "add"),
      int8Case(kind, rows, 70, 6, "store"),
      int8Case(kind, rows, 200, 110, "add"),
      int8Case(kind, rows, 30, 9, "gelu_new"),
    ]),
  );
  for (const test of [...shapes, ...int8, ...activations, ...attentions, ...rowCases]) {
    it(test.name, () => assertSameBits(test));
  }
  for (const rare of [9, 200]) {
    for (const test of [...activations, matmulCase(7, 40, 50, "add"), ...attentions, ...int8.slice(0, 24)]) {
      it(`${test.name}, one in ${rare} special`, () => assertSameBits({ ...test, rare }, 1));
    }
  }
});

describe("the build of the kernels", () => {
  it("is the relaxed one where the processor multiplies and adds bytes", () => {
    const linux = (line: string): string =>
      preferredBuild(`processor : 0\n${line}\n`, { platform: "linux", arch: "x64" });
    assert.equal(linux("flags\t\t: fpu avx2 avx_vnni sse4_2"), "relaxed");
    assert.equal(linux("Features\t: fp asimd asimddp sve"), "relaxed");
    assert.equal(linux("flags\t\t: fpu avx2 avx512_vnni"), "plain"); // V8 does not use the AVX-512 form.
    assert.equal(linux("model name\t: avx_vnni"), "plain");
    assert.equal(preferredBuild("", { platform: "darwin", arch: "arm64" }), "relaxed");
    assert.equal(preferredBuild("", { platform: "win32", arch: "x64" }), "plain");
  });

  it("is WebAssembly's where native kernels cannot be loaded, which is told", () => {
    const told: string[] = [];
    const build = chooseBuild("auto", (message) => told.push(message), {
      isBuilt: true,
      loadError: "invalid ELF header",
    });
    assert.equal(build, preferredBuild());
    assert.match(told.join(), /^the native kernels cannot be loaded, .*: invalid ELF header$/);
    const tellsNot = () => assert.fail("nobody asked for them");
    assert.equal(chooseBuild("wasm", tellsNot), preferredBuild());
    chooseBuild("auto", tellsNot, { isBuilt: false, loadError: "no such file" });
  });

  it("is the plain one where Node.js has no relaxed SIMD", () => {
    const hasRelaxed = Number(process.versions.node.split(".")[0]) >= 22;
    assert.equal(compileKernels("relaxed").build, hasRelaxed ? "relaxed" : "plain");
    assert.equal(compileKernels("plain").build, "plain");
  });
});
