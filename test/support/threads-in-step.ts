// Runs many kernel programs on several threads. Every step needs the results of all threads from the step before. Meanwhile another
// thread sends spurious wake-ups at random. It prints the numbers of the programs with wrong results. It is a process of its own,
// because V8's flags are set for a process, and because threads that lose the step may hang.
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { type KernelExports, WasmExecutor } from "../../src/kernels/host/executor.ts";
import { compileKernels, instantiateKernels, type KernelBuild } from "../../src/kernels/host/kernel-build.ts";
import { WasmLogitsRow } from "../../src/kernels/host/wasm-logits-row.ts";
import { Arena, LinearMemory } from "../../src/kernels/memory.ts";
import { CONTROL, PANEL } from "../../src/kernels/numbers.ts";
import { allocateProgram, type Executor, Kernels } from "../../src/kernels/program.ts";
import { Dice } from "./crowd.ts";

export interface StepsTask {
  /** A divisor of 32. */
  readonly threads: number;
  readonly programs: number;
  readonly build: KernelBuild;
  /** Start values of the counters of programs and steps. */
  readonly counted: number;
  /** True: helpers are expected but never start. */
  readonly isAlone?: boolean;
}

const STEPS_MAX = 60;
/** Large enough for several threads to take part in a step. */
const WIDTH = 512;

/**
 * Each step moves the rows by one place, alternately by copying and by multiplying: [threads, WIDTH / threads]. A thread that is
 * too early reads a row that is not written yet.
 */
function runSteps({ threads, programs, build, counted, isAlone }: StepsTask): number[] {
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: STEPS_MAX + 1, contextLength: 16, threads });
  const [even, odd, weight] = [arena.floats(WIDTH), arena.floats(WIDTH), arena.floats(WIDTH * WIDTH)];
  const indices = arena.allocate(4 * threads);
  const memory = new LinearMemory(arena.size);
  const rowWidth = WIDTH / threads;
  for (let row = 0; row < threads; row++) memory.ints(indices, threads)[row] = (row + 1) % threads;
  // Packed in panels: [WIDTH / PANEL][WIDTH][PANEL].
  for (let i = 0; i < WIDTH; i++) {
    const k = (i + rowWidth) % WIDTH;
    memory.f32[(weight >>> 2) + (Math.floor(i / PANEL) * WIDTH + k) * PANEL + (i % PANEL)] = 1;
  }
  for (const counter of [CONTROL.programs, CONTROL.step]) memory.i32[counter >>> 2] = counted;
  const executor = isAlone
    ? deserted(memory, threads, build)
    : WasmExecutor.start(memory, threads, [], compileKernels(build));
  new Worker(new URL(import.meta.url), { workerData: memory.wasm });
  const kernels = new Kernels(executor, space);
  const linear = { kind: "f32", weight, bias: 0, inWidth: WIDTH, outWidth: WIDTH } as const;
  const wrong: number[] = [];
  for (let program = 0; program < programs; program++) {
    const steps = 1 + (program % STEPS_MAX);
    for (let row = 0; row < threads; row++)
      memory.floats(even, WIDTH).fill(row, row * rowWidth, (row + 1) * rowWidth);
    for (let step = 0; step < steps; step++) {
      if (step % 2 === 0) kernels.gatherRows(odd, even, indices, { rows: threads, width: rowWidth });
      else kernels.matmul(even, odd, linear, 1, "store");
    }
    kernels.run();
    const rows = memory.floats(steps % 2 === 0 ? even : odd, WIDTH);
    const isRight = rows.every((y, i) => y === (Math.floor(i / rowWidth) + steps) % threads);
    if (!isRight) wrong.push(program);
  }
  return wrong;
}

/** An executor whose helpers never start. */
function deserted(memory: LinearMemory, threads: number, build: KernelBuild): Executor {
  const exports = instantiateKernels<KernelExports>(compileKernels(build), memory.wasm);
  return {
    name: "deserted",
    memory,
    ready: Promise.resolve(),
    run: (program) => exports.run(program, threads),
    logitsRow: (place) => new WasmLogitsRow(memory, exports, place),
    close: () => Promise.resolve(),
  };
}

/** Sends spurious wake-ups at random moments until the process ends. */
function disturb(memory: WebAssembly.Memory): never {
  const words = new Int32Array(memory.buffer);
  const dice = new Dice(1);
  for (;;) {
    for (let pause = dice.below(2000); pause > 0; pause--) Atomics.load(words, 0);
    Atomics.notify(words, (dice.below(2) === 0 ? CONTROL.step : CONTROL.programs) >>> 2);
  }
}

if (isMainThread) {
  process.stdout.write(JSON.stringify(runSteps(JSON.parse(process.argv[2] as string) as StepsTask)));
  process.exit(0);
}
disturb(workerData as WebAssembly.Memory);
