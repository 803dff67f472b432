// @ts-check
// Measures the 8-bit matrix kernels in every build and instruction set that this machine has, on data in the cache: one product that is
// so small that its time is the overhead of a call and a step, and one that shows a kernel's own speed.
// `node bench/kernels/kernels.js [--threads 2]`. The software must be built.
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { WasmExecutor } from "../../dist/src/kernels/host/executor.js";
import { compileKernels } from "../../dist/src/kernels/host/kernel-build.js";
import { nativeSets } from "../../dist/src/kernels/host/native-binding.js";
import { Arena, LinearMemory } from "../../dist/src/kernels/memory.js";
import { BLOCK, BLOCK_BYTES, GROUP } from "../../dist/src/kernels/numbers.js";
import { allocateProgram, allocateQuantized, Kernels } from "../../dist/src/kernels/program.js";
import { threadsFor } from "../../dist/src/machine/cpus.js";
import { machineLine } from "../support/machine.js";
import { median } from "../support/stats.js";

const { values } = parseArgs({ options: { threads: { type: "string", default: "0" } } });
const threadsMax = threadsFor(Number(values.threads));
const SMALL = { rows: 1, inWidth: 64, outWidth: 64 };
const LARGE = { rows: 16, inWidth: 768, outWidth: 512 };
const PRODUCTS = 40;
const RUNS = 300;

/**
 * Microseconds of one product.
 * @param {import("../../dist/src/kernels/host/kernel-build.js").KernelBuild} build
 * @param {number} threads
 * @param {import("../../dist/src/kernels/program.js").QuantizedKind} kind
 * @param {typeof SMALL} shape
 */
async function time(build, threads, kind, { rows, inWidth, outWidth }) {
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: PRODUCTS + 2, contextLength: 64, threads });
  const groups = inWidth / GROUP;
  const x = arena.floats(rows * inWidth);
  const quantized = allocateQuantized(arena, { rows, width: inWidth });
  const out = arena.floats(rows * outWidth);
  const weight = arena.allocate((outWidth / BLOCK) * groups * BLOCK_BYTES);
  const memory = new LinearMemory(arena.size);
  const kernels = new Kernels(WasmExecutor.start(memory, threads, [], compileKernels(build)), space);
  /** @type {import("../../dist/src/kernels/program.js").Linear} */
  const linear = { kind, weight, bias: 0, inWidth, outWidth };
  const times = [];
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    kernels.quantize(kind, quantized, x, { rows, width: inWidth });
    for (let i = 0; i < PRODUCTS; i++) kernels.matmulQuantized(out, quantized, linear, rows, "store");
    kernels.run();
    times.push(performance.now() - start);
  }
  await kernels.close();
  return (median(times) * 1000) / PRODUCTS;
}

const table = [];
for (const build of /** @type {const} */ (["plain", "relaxed", ...nativeSets()])) {
  if (compileKernels(build).build !== build) continue; // Node.js 20 has no relaxed SIMD.
  for (const threads of new Set([1, threadsMax])) {
    for (const kind of /** @type {const} */ (["int8", "rotated"])) {
      const small = await time(build, threads, kind, SMALL);
      const large = await time(build, threads, kind, LARGE);
      const macs = LARGE.rows * LARGE.inWidth * LARGE.outWidth;
      table.push({
        build,
        threads,
        kind,
        "64 × 64, µs": Number(small.toFixed(2)),
        "16 rows, G multiply-adds/s": Number((macs / large / 1000).toFixed(1)),
      });
    }
  }
}
console.log(machineLine());
console.table(table);
