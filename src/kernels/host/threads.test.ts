// Threads stay in step and end, whatever wakes them. This is tested with V8's optimising compiler and with its baseline compiler,
// which differ most in timing. V8's flags belong to a process, so most tests run in processes of their own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { StepsTask } from "../../../test/support/threads-in-step.ts";
import { Arena, LinearMemory } from "../memory.ts";
import { CONTROL, KERNELS, LINE_BYTES } from "../numbers.ts";
import { allocateProgram, Kernels } from "../program.ts";
import { chooseBuild } from "./choose-build.ts";
import { type KernelExports, WasmExecutor } from "./executor.ts";
import { compileKernels } from "./kernel-build.ts";

const STEPS = fileURLToPath(new URL("../../../test/support/threads-in-step.js", import.meta.url));
const REGION_BYTES = 1 << 20;
const BASELINE = "--liftoff-only";

/** The numbers of the programs with a wrong result. */
function wrongPrograms(flags: readonly string[], task: StepsTask): unknown {
  const { stdout, signal, stderr } = spawnSync(process.execPath, [...flags, STEPS, JSON.stringify(task)], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(signal, null, `the threads hang with ${flags} ${JSON.stringify(task)}`);
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

/**
 * (module
 *   (import "e" "m" (memory 1 1 shared))
 *   (func (export "f") (param i32) (result i32)
 *     (drop (memory.atomic.wait32 (i32.const 0) (i32.const 1) (i64.const 0)))
 *     (local.get 0)))
 */
const WAIT_AND_GIVE_BACK = [
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f], // types
  ...[0x02, 0x09, 0x01, 0x01, 0x65, 0x01, 0x6d, 0x02, 0x03, 0x01, 0x01], // imports
  ...[0x03, 0x02, 0x01, 0x00], // functions
  ...[0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00], // exports
  ...[0x0a, 0x11, 0x01, 0x0f, 0x00], // code: one body without locals
  ...[0x41, 0x00, 0x41, 0x01, 0x42, 0x00, 0xfe, 0x01, 0x02, 0x00, 0x1a, 0x20, 0x00, 0x0b],
];

describe("threads", () => {
  it("stay in step from program to program, with few threads and with many, however often they are woken", () => {
    for (const flags of [[BASELINE], []]) {
      for (const [threads, build] of [
        [2, chooseBuild("auto")],
        [8, "plain"],
      ] as const) {
        assert.deepEqual(wrongPrograms(flags, { threads, programs: 300, build, counted: 0 }), []);
      }
    }
  });

  it("go on when the counters of programs and steps change their sign, and when they begin anew", () => {
    for (const counted of [2 ** 31 - 10, 2 ** 32 - 10]) {
      assert.deepEqual(wrongPrograms([], { threads: 2, programs: 30, build: "plain", counted }), []);
    }
  });

  it("wait for nobody who has no work in hand, even if he never comes", () => {
    const builds = new Set([chooseBuild("auto"), "plain"] as const);
    for (const build of builds) {
      const task = { threads: 4, programs: 70, build, counted: 0, isAlone: true };
      assert.deepEqual(wrongPrograms([], task), []);
    }
  });

  it("take part, sleep when there is nothing for them, and come back when there is", async () => {
    const arena = new Arena();
    const space = allocateProgram(arena, { maxInstructions: 100, contextLength: 16, threads: 2 });
    const region = arena.allocate(REGION_BYTES);
    const memory = new LinearMemory(arena.size);
    const executor = WasmExecutor.start(memory, 2);
    const kernels = new Kernels(executor, space);
    const runUntil = (isDone: () => boolean, items: number, what: string): void => {
      for (const end = performance.now() + 30_000; !isDone(); ) {
        for (let i = 0; i < 90; i++) kernels.readMemory(region, items * LINE_BYTES);
        kernels.run();
        assert.ok(performance.now() < end, what);
      }
    };
    // The kernel stores its result in the scratch of the thread that ran it.
    const helperScratch = (space.scratch + space.scratchBytes) >>> 2;
    const sleepers = (): number => Atomics.load(memory.i32, CONTROL.programSleepers >>> 2);
    for (let round = 0; round < 2; round++) {
      memory.i32[helperScratch] = -1;
      runUntil(() => memory.i32[helperScratch] !== -1, REGION_BYTES / LINE_BYTES, "the helper does nothing");
      runUntil(() => sleepers() === 1, 1, "the helper does not sleep");
    }
    runUntil(() => sleepers() === 0, REGION_BYTES / LINE_BYTES, "the helper does not come back");
    await executor.close();
  });

  it("cut a step into items that are each taken once, and close it before the last of them run", () => {
    const items = 50;
    const arena = new Arena();
    const space = allocateProgram(arena, { maxInstructions: 4, contextLength: 16, threads: 3 });
    const region = arena.allocate(items * LINE_BYTES);
    const memory = new LinearMemory(arena.size);
    const ran: { first: number; last: number; isClosed: boolean }[] = [];
    const env = {
      memory: memory.wasm,
      sleep: () => assert.fail("nobody is waited for"),
      nativeKernels: 1 << KERNELS.readMemory.op,
      nativeRowSums: 0,
      // The step is closed: a thread takes no item, whatever number of items it has read.
      runNative: (_instruction: number, _part: number, first: number, last: number) =>
        ran.push({ first, last, isClosed: memory.i32[CONTROL.taken >>> 2] === 2 ** 31 - 1 }),
      sumNative: () => {},
    };
    const { module } = compileKernels("plain");
    const exports = new WebAssembly.Instance(module, { env }).exports as unknown as KernelExports;
    const kernels = new Kernels(
      {
        name: "watched",
        memory,
        ready: Promise.resolve(),
        run: (program) => exports.run(program, 3),
        logitsRow: () => assert.fail("there are no logits"),
        close: () => Promise.resolve(),
      },
      space,
    );
    for (const count of [items, 0, 1]) kernels.readMemory(region, count * LINE_BYTES);
    kernels.run();
    assert.ok(ran.length > 5, "the items are not shared out");
    let next = 0;
    for (const { first, last, isClosed } of ran.slice(0, -1)) {
      assert.equal(first, next);
      assert.equal(isClosed, last === items);
      next = last;
    }
    assert.equal(next, items);
    assert.deepEqual(ran.at(-1), { first: 0, last: 1, isClosed: true });
  });

  it("sleep outside of WebAssembly, whose own wait loses the caller's numbers on Node.js 20", () => {
    const imports = WebAssembly.Module.imports(compileKernels("plain").module);
    assert.ok(imports.some(({ name }) => name === "sleep"));
    const code = `
      const module = new WebAssembly.Module(new Uint8Array(${JSON.stringify(WAIT_AND_GIVE_BACK)}));
      const m = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      process.stdout.write(String(new WebAssembly.Instance(module, { e: { m } }).exports.f(9)));
    `;
    const { stdout } = spawnSync(process.execPath, [BASELINE, "--eval", code], { encoding: "utf8" });
    // When Node.js 20 is no longer supported, `sleep` in `wasm/threads.ts` may become WebAssembly's wait.
    const isFaulty = Number(process.versions.node.split(".")[0]) < 22;
    assert.match(stdout, /^-?\d+$/);
    assert.equal(stdout !== "9", isFaulty, `Node.js ${process.versions.node} gives ${stdout}`);
  });

  it("end when they are closed, even before they run", async () => {
    const executor = WasmExecutor.start(new LinearMemory(65_536), 3);
    await executor.close();
  });
});
