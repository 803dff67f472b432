// The self-check of native kernels: runs each of them and its WebAssembly form on a little data, special numbers included, and
// compares the bits. The binary may have been built on another machine, so nothing else is computed with it before. The tests
// are thorough. This check takes a few milliseconds, and finds a binary that is broken or of another version.
import { messageOf } from "../../errors.ts";
import { Arena, LinearMemory, rowStride } from "../memory.ts";
import {
  ATTENTION_ROWS_MAX,
  BLOCK,
  BLOCK_BYTES,
  GROUP,
  type InstructionSet,
  PAGE_POSITIONS,
} from "../numbers.ts";
import {
  allocateProgram,
  allocateQuantized,
  type Executor,
  headBytes,
  Kernels,
  type KvLayer,
  type Linear,
  type LogitsPlace,
  logitsScratchBytes,
} from "../program.ts";
import { WasmExecutor } from "./executor.ts";
import { type CompiledKernels, compileKernels } from "./kernel-build.ts";

const MAX_INSTRUCTIONS = 32;
/** One row and several. No width below is a multiple of a vector. */
const ROWS = [1, 2, 5];
const IN_WIDTH = GROUP + 6;
const OUT_WIDTH = 3 * BLOCK - 7;
const HEADS = 2;
const HEAD_SIZE = 10;
/** A sequence that continues in a second page. */
const POSITIONS = Array.from({ length: PAGE_POSITIONS + 2 }, (_, i) => i);
const NUM_PAGES = 2;
const KV_KINDS = ["f32", "int8"] as const;
const VOCABULARY = 150;

/** Addresses of the data of the check. */
type Layout = ReturnType<typeof layOut>;

function layOut(arena: Arena) {
  const rows = Math.max(...ROWS);
  const space = allocateProgram(arena, { maxInstructions: MAX_INSTRUCTIONS, contextLength: 64, threads: 1 });
  const begin = arena.size;
  const groups = Math.ceil(IN_WIDTH / GROUP);
  const listed = POSITIONS.length + ATTENTION_ROWS_MAX;
  const outs = Array.from({ length: 4 * ROWS.length + 1 }, () => arena.floats(rows * rowStride(OUT_WIDTH)));
  return {
    space,
    begin,
    outs,
    x: arena.floats(rows * rowStride(IN_WIDTH)),
    norm: {
      weight: arena.floats(rowStride(IN_WIDTH)),
      bias: arena.floats(rowStride(IN_WIDTH)),
      epsilon: 1e-5,
    },
    normed: arena.floats(rows * rowStride(IN_WIDTH)),
    weight: arena.floats(IN_WIDTH * rowStride(OUT_WIDTH)),
    weight8: arena.allocate(Math.ceil(OUT_WIDTH / BLOCK) * groups * BLOCK_BYTES),
    bias: arena.floats(rowStride(OUT_WIDTH)),
    places: arena.floats(listed),
    pageTables: arena.floats(listed),
    pageNumbers: arena.floats(NUM_PAGES),
    qkv: arena.floats(POSITIONS.length * rowStride(3 * HEADS * HEAD_SIZE)),
    attentions: KV_KINDS.map((kind) => {
      const pageBytes = HEADS * headBytes(kind, HEAD_SIZE);
      const kv: KvLayer = {
        kind,
        pageBytes,
        heads: HEADS,
        headSize: HEAD_SIZE,
        address: arena.allocate(NUM_PAGES * pageBytes),
      };
      return { kv, out: arena.floats(POSITIONS.length * rowStride(HEADS * HEAD_SIZE)) };
    }),
    row: arena.floats(rowStride(VOCABULARY)),
    end: arena.size,
    // Not compared: each build has its own layout here.
    quantized: allocateQuantized(arena, { rows, width: IN_WIDTH }),
    rowScratch: arena.allocate(logitsScratchBytes(VOCABULARY)),
  };
}

/** Records every kernel that has a native form. A test compares this list with the table of kernels. */
function recordAll(kernels: Kernels, layout: Layout): void {
  const { outs, x, norm, normed, weight, weight8, bias, quantized, qkv } = layout;
  const shape = { bias, inWidth: IN_WIDTH, outWidth: OUT_WIDTH };
  const f32: Linear = { kind: "f32", weight, ...shape };
  const int8: Linear = { kind: "int8", weight: weight8, ...shape };
  const rotated: Linear = { ...int8, kind: "rotated" };
  let out = 0;
  for (const rows of ROWS) {
    kernels.matmul(outs[out++] as number, x, f32, rows, "store");
    kernels.matmul(outs[out++] as number, x, f32, rows, "gelu_new");
    kernels.quantize("int8", quantized, x, { rows, width: IN_WIDTH });
    kernels.matmulQuantized(outs[out++] as number, quantized, int8, rows, "add");
    kernels.quantize("rotated", quantized, x, { rows, width: IN_WIDTH });
    kernels.matmulQuantized(outs[out++] as number, quantized, rotated, rows, "store");
  }
  kernels.layerNorm(normed, x, norm, { rows: Math.max(...ROWS), width: IN_WIDTH });
  const table = {
    tokens: 0,
    positions: layout.places,
    pageTables: layout.pageTables,
    rows: POSITIONS.length,
  };
  for (const { kv, out } of layout.attentions) {
    kernels.storeKv(qkv, table, kv);
    kernels.attention(out, qkv, table, kv, 0.3);
  }
  kernels.readMemory(x, layout.end - x);
}

/** Fills the data with numbers of both signs. If `rare` is not 0, about one of `rare` numbers is a special one. */
function fill(memory: LinearMemory, layout: Layout, rare: number): void {
  const specials = [Number.NaN, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-40, -3e38];
  const { f32 } = memory;
  for (let i = layout.begin >>> 2; i < f32.length; i++) {
    const hashed = Math.imul(i ^ (i >>> 7), 0x9e3779b1) >>> 0;
    const isSpecial = rare > 0 && hashed % rare === 0;
    f32[i] = isSpecial ? (specials[i % specials.length] as number) : hashed / 2 ** 30 - 2;
  }
  const listed = POSITIONS.length + ATTENTION_ROWS_MAX;
  const next = (POSITIONS.at(-1) as number) + 1;
  memory.ints(layout.places, listed).set(Array.from({ length: listed }, (_, i) => POSITIONS[i] ?? next + i));
  memory.ints(layout.pageTables, listed).fill(layout.pageNumbers);
  memory.ints(layout.pageNumbers, NUM_PAGES).set([1, 0]);
}

/** Runs all kernels on the data in memory. Returns the data after that, a sum over a row of logits, and a distribution. */
function resultOf(executor: Executor, layout: Layout): ArrayLike<number>[] {
  const { memory } = executor;
  const kernels = new Kernels(executor, layout.space);
  recordAll(kernels, layout);
  kernels.run();
  const place: LogitsPlace = { address: layout.row, width: VOCABULARY, scratch: layout.rowScratch };
  const row = executor.logitsRow(place);
  const sum = row.logSumExp();
  row.keepTopP(0.7);
  const { tokenIds, cumulative } = row.distribution();
  const values = memory.f32.slice(layout.begin >>> 2, layout.end >>> 2);
  return [values, [sum], [...tokenIds], [...cumulative]];
}

/**
 * The reason why the self-check of an instruction set failed. Undefined: the native kernels give the bits of WebAssembly. Tests
 * replace `startNative`.
 */
export function faultOf(
  set: InstructionSet,
  startNative: (memory: LinearMemory, kernels: CompiledKernels) => Executor = (memory, kernels) =>
    WasmExecutor.start(memory, 1, [], kernels),
): string | undefined {
  try {
    const arena = new Arena();
    const layout = layOut(arena);
    const memory = new LinearMemory(arena.size);
    const plain = compileKernels("plain");
    const reference = WasmExecutor.start(memory, 1, [], plain);
    const native = startNative(memory, { ...plain, build: set });
    for (const rare of [0, 9]) {
      fill(memory, layout, rare);
      const data = memory.f32.slice();
      const expected = resultOf(reference, layout);
      memory.f32.set(data);
      const found = resultOf(native, layout);
      if (!expected.every((each, i) => isSame(each, found[i])))
        return "they give other results than WebAssembly";
    }
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Zeros of different sign are different. All bit patterns of NaN are equal, because the processor may choose any of them. */
function isSame(a: ArrayLike<number>, b: ArrayLike<number> | undefined): boolean {
  if (a.length !== b?.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}
