// The self-check of native kernels: those that were built here pass, every kernel and sum with a native form is covered, and a
// single wrong bit of any of them is found.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../../../test/support/checkpoints.ts";
import type { LinearMemory } from "../memory.ts";
import {
  END,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  INSTRUCTION_SETS,
  KERNELS,
  type KernelName,
  ROW_SUMS,
} from "../numbers.ts";
import type { Executor, LogitsPlace } from "../program.ts";
import { chooseBuild, nativeFault } from "./choose-build.ts";
import { WasmExecutor } from "./executor.ts";
import { compileKernels } from "./kernel-build.ts";
import { loadWhole, nativeSets } from "./native-binding.ts";
import { faultOf } from "./self-check.ts";

const PLAIN = compileKernels("plain");
const OTHER = "they give other results than WebAssembly";

/** WebAssembly kernels that pretend to be native ones. Their results are changed on purpose. */
function spoiled(after: (memory: LinearMemory, program: number) => void, spoilRow = (_: Float32Array) => {}) {
  return (memory: LinearMemory): Executor => {
    const executor = WasmExecutor.start(memory, 1, [], PLAIN);
    return {
      name: "spoiled",
      memory,
      ready: executor.ready,
      run(program) {
        executor.run(program);
        after(memory, program);
      },
      logitsRow(place: LogitsPlace) {
        const row = executor.logitsRow(place);
        spoilRow(row.values);
        return row;
      },
      close: () => executor.close(),
    };
  };
}

/** The indexes of the first words of a program's instructions. */
function* instructions({ i32 }: LinearMemory, program: number): Generator<number> {
  for (let at = program >>> 2; i32[at] !== END; at += INSTRUCTION_BYTES / 4) yield at;
}

/** The kernels with a native form whose results in memory are the same in every build. */
const NATIVE = (Object.keys(KERNELS) as KernelName[]).filter((name) => KERNELS[name].sets.length > 0);
const OUTPUT: Partial<Record<KernelName, string>> = {
  storeKv: "pages",
  storeKvInt8: "pages",
  quantize: "",
  quantizeRotated: "",
  readMemory: "",
};

describe("the check of native kernels", () => {
  it("passes those that were built here, so that the best of them is chosen", () => {
    for (const set of nativeSets()) assert.equal(faultOf(set), undefined, set);
    const best = nativeSets()[0];
    if (best) assert.equal(chooseBuild("auto"), best);
    assert.equal(nativeFault(), undefined);
    assert.ok(!INSTRUCTION_SETS.includes(chooseBuild("wasm") as never));
  });

  it("loads no file that is not whole", (context) => {
    const folder = temporaryDirectory();
    context.after(() => folder.remove());
    const path = join(folder.path, "kernels.node");
    const built = fileURLToPath(new URL(`kernels-${process.platform}-${process.arch}.node`, import.meta.url));
    if (existsSync(built)) {
      copyFileSync(built, path);
      copyFileSync(`${built}.sha256`, `${path}.sha256`);
      assert.deepEqual(loadWhole(path).sets, nativeSets());
      truncateSync(path, 5000);
    } else {
      for (const file of [path, `${path}.sha256`]) writeFileSync(file, "something");
    }
    assert.throws(() => loadWhole(path), /is not the file that was built/);
    rmSync(`${path}.sha256`);
    assert.throws(() => loadWhole(path), { code: "ENOENT" });
  });

  it("runs every kernel that has a native form", () => {
    const seen = new Set<number>();
    const look = (memory: LinearMemory, program: number): void => {
      for (const at of instructions(memory, program)) seen.add(memory.i32[at + INSTRUCTION.op / 4] as number);
    };
    assert.equal(faultOf("avx2", spoiled(look)), undefined);
    assert.deepEqual(
      NATIVE.filter((name) => !seen.has(KERNELS[name].op)),
      [],
    );
  });

  for (const name of NATIVE.filter((each) => OUTPUT[each] !== "")) {
    it(`sees one wrong bit of ${name}`, () => {
      const spoil = (memory: LinearMemory, program: number): void => {
        for (const at of instructions(memory, program)) {
          if (memory.i32[at + INSTRUCTION.op / 4] !== KERNELS[name].op) continue;
          const output = OUTPUT[name] ?? "out";
          const { offset } = (KERNELS[name].arguments as Record<string, { offset: number }>)[output] as {
            offset: number;
          };
          const word = (memory.i32[at + offset / 4] as number) >>> 2;
          memory.i32[word] = (memory.i32[word] as number) ^ 1;
          return;
        }
      };
      assert.equal(faultOf("avx2", spoiled(spoil)), OTHER);
    });
  }

  it("sees a wrong row of logits, and takes what throws for a fault", () => {
    assert.ok(Object.keys(ROW_SUMS).length > 0);
    const spoilRow = (values: Float32Array): void => {
      values[3] = (values[3] as number) + 1;
    };
    assert.equal(
      faultOf(
        "avx2",
        spoiled(() => {}, spoilRow),
      ),
      OTHER,
    );
    const fail = (): never => {
      throw new Error("the native kernels are not built");
    };
    assert.equal(faultOf("avx2", fail), "the native kernels are not built");
  });
});
