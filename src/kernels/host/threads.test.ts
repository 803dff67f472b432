// Programs of growing length on several threads, under V8's baseline compiler, where timing differs most from the
// optimised code: a thread must never run on into the next program. A process of its own, since the flag is a process's.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory } from "../../../test/support/checkpoints.ts";
import { LinearMemory } from "../memory.ts";
import { WasmExecutor } from "./executor.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

const SCRIPT = `
  const { Arena, LinearMemory } = await import("URL/../memory.js");
  const { allocateProgram, Kernels } = await import("URL/../program.js");
  const { WasmExecutor } = await import("URL/executor.js");
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: 64, contextLength: 16, threads: 2 });
  const [x, out, weight] = [arena.floats(16), arena.floats(16), arena.floats(256)];
  const memory = new LinearMemory(arena.size);
  memory.floats(x, 16).fill(1);
  memory.floats(weight, 256).fill(1);
  const kernels = new Kernels(WasmExecutor.start(memory, 2), space);
  const linear = { kind: "f32", weight, bias: 0, inWidth: 16, outWidth: 16 };
  const wrong = [];
  for (let round = 0; round < 300; round++) {
    const count = 1 + (round % 60);
    memory.floats(out, 16).fill(0);
    for (let i = 0; i < count; i++) kernels.matmul(out, x, linear, 1, "add");
    kernels.run();
    if (!memory.floats(out, 16).every((y) => y === 16 * count)) wrong.push(count);
  }
  process.stdout.write(JSON.stringify(wrong));
  process.exit(0);
`;

describe("threads", () => {
  it("stay in step from program to program, under the baseline compiler too", () => {
    const code = SCRIPT.replaceAll("URL", new URL(".", import.meta.url).href.replace(/\/$/, ""));
    const file = join(directory.path, "programs.mjs");
    writeFileSync(file, code);
    for (const flags of [["--liftoff-only"], []]) {
      const { stdout, signal, stderr } = spawnSync(process.execPath, [...flags, file], {
        encoding: "utf8",
        timeout: 20_000,
      });
      assert.equal(signal, null, `the threads hang with ${flags}`);
      assert.equal(stdout, "[]", stderr);
    }
  });

  it("end when they are closed, even before they run", async () => {
    const executor = WasmExecutor.start(new LinearMemory(65_536), 3);
    await executor.close();
  });
});
