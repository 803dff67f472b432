// @ts-check
// Attention over 8-bit keys and values beside that over f32 ones, in every build and instruction set that this machine runs: one
// pass of the 124 M shape, storing included, both kinds in turn. `node bench/kernels/attention.js [--threads 2]`. The software
// must be built.
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { WasmExecutor } from "../../dist/src/kernels/host/executor.js";
import { compileKernels } from "../../dist/src/kernels/host/kernel-build.js";
import { nativeSets } from "../../dist/src/kernels/host/native-binding.js";
import { Arena, LinearMemory, rowStride } from "../../dist/src/kernels/memory.js";
import { PAGE_POSITIONS } from "../../dist/src/kernels/numbers.js";
import { allocateProgram, headBytes, Kernels } from "../../dist/src/kernels/program.js";
import { threadsFor } from "../../dist/src/machine/cpus.js";
import { machineLine } from "../support/machine.js";
import { median } from "../support/stats.js";

const { values } = parseArgs({ options: { threads: { type: "string", default: "0" } } });
const threads = threadsFor(Number(values.threads));
const LAYERS = 12;
const HEADS = 12;
const HEAD_SIZE = 64;
const WIDTH = HEADS * HEAD_SIZE;
const RUNS = 15;
/** Sequences of which a pass has the last rows, each behind `context` positions. */
const PASSES = {
  "1 row at 900": { sequences: 1, rows: 1, context: 900 },
  "48 rows at 32": { sequences: 48, rows: 1, context: 32 },
  "48 rows at 256": { sequences: 48, rows: 1, context: 256 },
  "prompt of 128": { sequences: 1, rows: 128, context: 0 },
};

/**
 * A pass that can be run again and again.
 * @param {import("../../dist/src/kernels/host/kernel-build.js").KernelBuild} build
 * @param {import("../../dist/src/kernels/program.js").KvKind} kind
 * @param {{ sequences: number, rows: number, context: number }} shape
 */
function prepare(build, kind, { sequences, rows: rowsEach, context }) {
  const rows = sequences * rowsEach;
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: 2 * LAYERS + 1, contextLength: 1024, threads });
  const pagesEach = Math.ceil((context + rowsEach) / PAGE_POSITIONS);
  const numPages = sequences * pagesEach;
  const [positions, pageTables, numbers] = [rows, rows, numPages].map((count) => arena.floats(count));
  const qkv = arena.floats(rows * rowStride(3 * WIDTH));
  const out = arena.floats(rows * rowStride(WIDTH));
  const layerBytes = HEADS * headBytes(kind, HEAD_SIZE);
  const pageBytes = LAYERS * layerBytes;
  const pages = arena.allocate(numPages * pageBytes);
  const memory = new LinearMemory(arena.size);
  // Ordinary numbers in either kind: bytes of 64, with scales of 3.
  if (kind === "f32") memory.f32.fill(0.5, pages >>> 2);
  else memory.i32.fill(0x40404040, pages >>> 2);
  memory
    .floats(qkv, rows * rowStride(3 * WIDTH))
    .forEach((_, i, all) => void all.fill((i % 17) / 8 - 1, i, i + 1));
  const all = Array.from({ length: rows }, (_, i) => i);
  memory.ints(positions, rows).set(all.map((row) => context + (row % rowsEach)));
  memory.ints(pageTables, rows).set(all.map((row) => numbers + 4 * pagesEach * Math.floor(row / rowsEach)));
  memory.ints(numbers, numPages).set(Array.from({ length: numPages }, (_, i) => i));
  const kernels = new Kernels(WasmExecutor.start(memory, threads, [], compileKernels(build)), space);
  const table = { tokens: 0, positions, pageTables, rows };
  return {
    run() {
      for (let layer = 0; layer < LAYERS; layer++) {
        const kv = {
          kind,
          address: pages + layer * layerBytes,
          pageBytes,
          heads: HEADS,
          headSize: HEAD_SIZE,
        };
        kernels.storeKv(qkv, table, kv);
        kernels.attention(out, qkv, table, kv, 0.125);
      }
      const start = performance.now();
      kernels.run();
      return performance.now() - start;
    },
    close: () => kernels.close(),
  };
}

const table = [];
for (const build of /** @type {const} */ (["plain", "relaxed", ...nativeSets()])) {
  if (compileKernels(build).build !== build) continue; // Node.js 20 has no relaxed SIMD.
  for (const [pass, shape] of Object.entries(PASSES)) {
    const [f32, int8] = [prepare(build, "f32", shape), prepare(build, "int8", shape)];
    const times = Array.from({ length: RUNS + 3 }, () => [f32.run(), int8.run()]).slice(3);
    await Promise.all([f32.close(), int8.close()]);
    const [f32Ms, int8Ms] = [0, 1].map((kind) => median(times.map((pair) => pair[kind])));
    table.push({
      build,
      pass,
      "f32, ms": Number(f32Ms.toFixed(3)),
      "int8, ms": Number(int8Ms.toFixed(3)),
      "times as fast": Number(median(times.map(([exact, close]) => exact / close)).toFixed(2)),
    });
  }
}
console.log(machineLine());
console.table(table);
