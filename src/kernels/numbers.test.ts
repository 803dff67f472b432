// The shared numbers: each is written once, the generated files for the other languages are up to date, and structures have room
// for all their fields.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { packageRoot } from "../generator/model-directory.ts";
import { nativeMasks, nativeSets } from "./host/native-binding.ts";
import * as numbers from "./numbers.ts";
import {
  CONTROL,
  CONTROL_BYTES,
  EPILOGUE,
  type Field,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  INSTRUCTION_SETS,
  KERNELS,
  LINE_BYTES,
  ROW_SCRATCH,
  ROW_SCRATCH_BYTES,
  ROW_SUMS,
} from "./numbers.ts";

const ROOT = packageRoot();
const KERNELS_FOLDER = join(ROOT, "src/kernels");

interface Writer {
  assemblyScript(shared: typeof numbers): string;
  c(shared: typeof numbers): string;
}

const writer = (await import(new URL(`file://${join(ROOT, "tools/kernel-numbers.js")}`).href)) as Writer;
const GENERATED = {
  "wasm/numbers.generated.ts": writer.assemblyScript(numbers),
  "native/numbers.generated.h": writer.c(numbers),
};

/** Sources of the kernels in AssemblyScript and C, without comments. */
const SOURCES = ["wasm", "native"].flatMap((folder) =>
  readdirSync(join(KERNELS_FOLDER, folder))
    .filter((name) => /\.(ts|h|c)$/.test(name) && !name.includes(".generated."))
    .map((name) => {
      const text = readFileSync(join(KERNELS_FOLDER, folder, name), "utf8");
      return { file: `${folder}/${name}`, code: text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "") };
    }),
);

/** The generated constants by name. */
const CONSTANTS = new Map(
  [...GENERATED["wasm/numbers.generated.ts"].matchAll(/^export const (\w+): i32 = (\d+);$/gm)].map(
    ([, name, value]) => [name as string, Number(value)] as const,
  ),
);

describe("shared numbers", () => {
  it("are written down for AssemblyScript and C as they stand in numbers.ts", () => {
    for (const [file, expected] of Object.entries(GENERATED)) {
      assert.equal(readFileSync(join(KERNELS_FOLDER, file), "utf8"), expected, `${file}: run npm run build`);
    }
    assert.equal(CONSTANTS.get("OP_MATMUL_INT8"), KERNELS.matmulInt8.op);
    assert.equal(CONSTANTS.get("EPILOGUE_QUICK_GELU"), EPILOGUE.quickGelu);
    assert.equal(CONSTANTS.get("CONTROL_STOP"), CONTROL.stop);
    assert.ok(CONSTANTS.size > 50);
  });

  it("are defined nowhere else", () => {
    for (const { file, code } of SOURCES) {
      for (const name of CONSTANTS.keys()) {
        const definition = new RegExp(`#define ${name}\\b|\\b(const|let) ${name}\\b|[{,]\\s*${name} = `);
        assert.ok(!definition.test(code), `${file} defines ${name}`);
      }
    }
  });

  it("are not written out where their names belong", () => {
    // Smaller numbers are also lanes, bytes of a vector and the like. Of these, only uses as a unit are looked for.
    const large = [...CONSTANTS].filter(([, value]) => value > 255);
    const units =
      /[&~] ?-?(15|63)\b|\+ (15|63)\)|(>>>?|<<) ?6\b|>>>? ?4\b|<< ?4\b|% ?(16|64)\b|\/ ?(16|64)\b/;
    for (const { file, code } of SOURCES) {
      for (const [name, value] of large) {
        const literal = new RegExp(`(?<![\\w.])(${value}|0x${value.toString(16)})(\\.0)?f?(?![\\w.])`, "i");
        assert.ok(!literal.test(code), `${file} writes ${value} and not ${name}`);
      }
      const found = units.exec(code);
      assert.equal(found, null, `${file} writes ${found?.[0]} and not the name of a unit`);
    }
  });

  it("tell kernels apart, and native ones fit into a mask", () => {
    for (const table of [KERNELS, ROW_SUMS]) {
      const ops = Object.values(table).map(({ op }) => op);
      assert.equal(new Set(ops).size, ops.length);
      for (const { op, sets } of Object.values(table)) assert.ok(sets.length === 0 || op < 32);
    }
    assert.ok(!Object.values(KERNELS).some(({ op }) => (op as number) === numbers.END));
    for (const set of INSTRUCTION_SETS) {
      const { kernels, rowSums } = nativeMasks(set);
      assert.equal((kernels >> KERNELS.attention.op) & 1, 1);
      assert.equal((kernels >> KERNELS.embed.op) & 1, 0);
      assert.equal(rowSums, 0b111);
    }
  });

  it("name the instruction sets that the native kernels have, in the same order", () => {
    const known = INSTRUCTION_SETS.filter((set) => nativeSets().includes(set));
    assert.deepEqual(nativeSets(), known);
  });

  it("lay structures out without overlaps", () => {
    const end = (fields: Readonly<Record<string, Field>>, begin: number): number => {
      let at = begin;
      for (const { kind, offset } of Object.values(fields)) {
        const bytes = kind === "double" ? 8 : 4;
        assert.ok(offset >= at && offset % bytes === 0);
        at = offset + bytes;
      }
      return at;
    };
    for (const kernel of Object.values(KERNELS)) {
      assert.ok(end(kernel.arguments, INSTRUCTION.arguments) <= INSTRUCTION_BYTES);
    }
    assert.ok(end(ROW_SCRATCH, 0) <= ROW_SCRATCH_BYTES);
  });

  it("keep words that different threads wait for on different cache lines", () => {
    const line = (offset: number): number => Math.floor(offset / LINE_BYTES);
    const { programs, step, taken, done, stepSleepers } = CONTROL;
    assert.equal(new Set([programs, step, taken, done, stepSleepers].map(line)).size, 5);
    assert.equal(taken % 8, 0, "it has 64 bits");
    assert.ok(line(Math.min(...Object.values(CONTROL))) > 0, "address 0 means none");
    assert.ok(Math.max(...Object.values(CONTROL)) < CONTROL_BYTES);
    const words = Object.values(CONTROL);
    assert.equal(new Set(words).size, words.length);
  });
});
