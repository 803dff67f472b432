// Measures the times of passes, and compares them with two limits of the machine: the memory bandwidth, and the speed of the
// matrix kernel on data in the cache. Both limits are measured in the same run. All times are medians.
import { performance } from "node:perf_hooks";
import { samplingFilters } from "../decoding/logits-processors.ts";
import { chooseBuild, type KernelChoice } from "../kernels/host/choose-build.ts";
import { WasmExecutor } from "../kernels/host/executor.ts";
import { compileKernels } from "../kernels/host/kernel-build.ts";
import { Arena, LinearMemory, rowStride } from "../kernels/memory.ts";
import { PAGE_POSITIONS } from "../kernels/numbers.ts";
import {
  allocateProgram,
  allocateQuantized,
  Kernels,
  type Linear,
  type LinearKind,
} from "../kernels/program.ts";
import type { ForwardChunk } from "../model/backend.ts";
import { type Gpt2, pageBytes } from "../model/gpt2.ts";
import type { Gpt2Config } from "../model/gpt2-config.ts";
import { kindsOf, linearBytes, matricesOf, type Precision } from "../model/weights.ts";

/** The machine's limits with this number of threads. */
export interface Machine {
  /** Memory bandwidth for reading, in bytes per second. */
  readonly bandwidth: number;
  /** Multiply-adds per second of each matrix kernel of this precision, at 16 rows and with all data in the cache. */
  readonly ceilings: Readonly<Partial<Record<LinearKind, number>>>;
}

export interface Measurement {
  readonly name: string;
  readonly rows: number;
  readonly context: number;
  /** Median milliseconds of a pass. */
  readonly ms: number;
  readonly tokensPerSecond: number;
  /** The shortest time that bandwidth and ceiling allow, in milliseconds. */
  readonly limitMs: number;
}

const BANDWIDTH_BYTES = 256 * 2 ** 20;
const CACHED = { rows: 16, inWidth: 768, outWidth: 512, repeats: 40 };

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;
}

/** Long enough for the JavaScript compiler to have optimised the code as in a busy server. */
const WARM_UP_MS = 500;

/** Median milliseconds of `run`, after some runs to warm up. */
function time(run: () => void, repeats: number, warmUpMs = WARM_UP_MS): number {
  const begin = performance.now();
  for (let i = 0; i < 3 || performance.now() - begin < warmUpMs; i++) run();
  const times = Array.from({ length: repeats }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  return median(times);
}

/** Settings of a measurement. */
export interface Setting {
  readonly precision: Precision;
  readonly kernels: KernelChoice;
  readonly threads: number;
}

/** A shorter warm-up, for commands that should answer quickly. */
const SHORT_WARM_UP_MS = 100;

/** Bytes per second that all threads together read from memory. It takes about one second. */
export async function measureBandwidth({
  kernels: choice,
  threads,
}: Omit<Setting, "precision">): Promise<number> {
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: 2, contextLength: 64, threads });
  const region = arena.allocate(BANDWIDTH_BYTES);
  const memory = new LinearMemory(arena.size);
  memory.f32.fill(1, region >>> 2); // Pages that were never written are all the same zero page, and stay in the cache.
  const executor = WasmExecutor.start(memory, threads, [], compileKernels(chooseBuild(choice)));
  const kernels = new Kernels(executor, space);
  const readMs = readTime(kernels, region, SHORT_WARM_UP_MS);
  await kernels.close();
  return (BANDWIDTH_BYTES * 1000) / readMs;
}

function readTime(kernels: Kernels, region: number, warmUpMs: number): number {
  const read = (): void => {
    kernels.readMemory(region, BANDWIDTH_BYTES);
    kernels.run();
  };
  return time(read, 9, warmUpMs);
}

export async function measureMachine({ precision, kernels: choice, threads }: Setting): Promise<Machine> {
  const { rows, inWidth, outWidth, repeats } = CACHED;
  const kinds = kindsOf(precision);
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: repeats + 2, contextLength: 64, threads });
  const x = arena.floats(rows * rowStride(inWidth));
  const quantized = allocateQuantized(arena, { rows, width: inWidth });
  const out = arena.floats(rows * rowStride(outWidth));
  const weight = arena.allocate(Math.max(...kinds.map((kind) => linearBytes(kind, inWidth, outWidth))));
  const region = arena.allocate(BANDWIDTH_BYTES);
  const memory = new LinearMemory(arena.size);
  for (let i = x >>> 2; i < (region + BANDWIDTH_BYTES) >>> 2; i++) memory.f32[i] = 1 + (i % 7) / 8;
  const kernels = new Kernels(
    WasmExecutor.start(memory, threads, [], compileKernels(chooseBuild(choice))),
    space,
  );
  const readMs = readTime(kernels, region, WARM_UP_MS);
  const ceilings: Partial<Record<LinearKind, number>> = {};
  for (const kind of kinds) {
    const linear: Linear = { kind, weight, bias: 0, inWidth, outWidth };
    const multiplyMs = time(() => {
      if (kind !== "f32") kernels.quantize(kind, quantized, x, { rows, width: inWidth });
      for (let i = 0; i < repeats; i++) {
        if (kind === "f32") kernels.matmul(out, x, linear, rows, "store");
        else kernels.matmulQuantized(out, quantized, linear, rows, "store");
      }
      kernels.run();
    }, 15);
    ceilings[kind] = (rows * inWidth * outWidth * repeats * 1000) / multiplyMs;
  }
  await kernels.close();
  return { bandwidth: (BANDWIDTH_BYTES * 1000) / readMs, ceilings };
}

/** Measures decoding: one token for each of `rows` sequences with `context` tokens, with the choice of the next token. */
export function measureDecode(model: Gpt2, config: Gpt2Config, machine: Machine, shape: Shape): Measurement {
  const run = decodePass(model, config, shape);
  const { rows } = shape;
  return result(
    `decode ${rows}`,
    { ms: time(run, rows > 8 ? 9 : 21), numTokens: rows },
    config,
    machine,
    shape,
  );
}

/** What a request does with a row unless it says otherwise: the filters and the draw of `sample-top-p`. */
const DEFAULT_FILTERS = samplingFilters({ temperature: 1, topK: 50, topP: 0.92 });

/** Milliseconds for choosing the token of one row; a pass does it for its rows one after the other. */
export function measureChoice(model: Gpt2): number {
  const [row] = model.forward({
    copies: [],
    chunks: [{ pages: [0], position: 0, tokenIds: [0], logits: "last" }],
  });
  if (row === undefined) throw new Error("A pass whose logits were wanted has none");
  const logits = row.values.slice();
  const choose = (): void => {
    row.values.set(logits);
    for (const [, filter] of DEFAULT_FILTERS) filter(row, []);
    row.distribution();
  };
  return time(choose, 101);
}

/** A pass that decodes: one token for each of `rows` sequences with `context` tokens, with the choice of the next token. */
export function decodePass(model: Gpt2, config: Gpt2Config, { rows, context }: Shape): () => void {
  const pagesEach = Math.ceil((context + 1) / model.limits.pagePositions);
  const chunks: ForwardChunk[] = Array.from({ length: rows }, (_, row) => ({
    pages: Array.from({ length: pagesEach }, (_, page) => (row * pagesEach + page) % model.limits.pages),
    position: context,
    tokenIds: [row % config.vocabSize],
    logits: "last",
  }));
  return () => {
    for (const row of model.forward({ copies: [], chunks })) row.argmax();
  };
}

export interface Shape {
  readonly precision: Precision;
  readonly rows: number;
  readonly context: number;
}

/** Measures the prefill of a prompt of `rows` tokens, in passes of as many tokens as the model takes. */
export function measurePrefill(model: Gpt2, config: Gpt2Config, machine: Machine, shape: Shape): Measurement {
  const ms = time(prefillPasses(model, config, shape), 5);
  return result(`prefill ${shape.rows}`, { ms, numTokens: shape.rows }, config, machine, shape);
}

/** The passes of a prompt of `rows` tokens. */
export function prefillPasses(model: Gpt2, config: Gpt2Config, { rows }: Shape): () => void {
  const { maxBatchTokens, pagePositions } = model.limits;
  const pages = Array.from({ length: Math.ceil(rows / pagePositions) }, (_, page) => page);
  return () => {
    for (let position = 0; position < rows; position += maxBatchTokens) {
      const count = Math.min(maxBatchTokens, rows - position);
      const tokenIds = Array.from({ length: count }, (_, i) => (position + i) % config.vocabSize);
      const logits = position + count === rows ? "last" : "none";
      model.forward({ copies: [], chunks: [{ pages, position, tokenIds, logits }] });
    }
  };
}

function result(
  name: string,
  { ms, numTokens }: { ms: number; numTokens: number },
  config: Gpt2Config,
  machine: Machine,
  shape: Shape,
): Measurement {
  const isPrefill = name.startsWith("prefill");
  const passes = isPrefill ? Math.ceil(numTokens / 128) : 1;
  const seconds = matricesOf(config, shape.precision).map(({ name, kind, count, inWidth, outWidth }) => {
    const rows = name === "head" && isPrefill ? 1 : numTokens;
    return (rows * count * inWidth * outWidth) / (machine.ceilings[kind] as number);
  });
  const keyValueBytes = isPrefill ? 0 : numTokens * shape.context * kvBytes(config, shape.precision);
  const bytes = passes * weightBytes(config, shape.precision) + keyValueBytes;
  const multiplySeconds = seconds.reduce((sum, each) => sum + each, 0);
  const limitMs = 1000 * Math.max(bytes / machine.bandwidth, multiplySeconds);
  const { rows, context } = shape;
  return { name, rows, context, ms, tokensPerSecond: (numTokens * 1000) / ms, limitMs };
}

/** Bytes of the keys and values of one position. */
function kvBytes(config: Gpt2Config, precision: Precision): number {
  return pageBytes(config, precision) / PAGE_POSITIONS;
}

/** Bytes of weights that every pass reads, for one set of sizes and a precision. */
export function weightBytes(config: Gpt2Config, precision: Precision): number {
  return matricesOf(config, precision).reduce(
    (sum, { kind, count, inWidth, outWidth }) => sum + count * linearBytes(kind, inWidth, outWidth),
    0,
  );
}
