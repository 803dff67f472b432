// Writes the numbers of src/kernels/numbers.ts as AssemblyScript and as C, beside the kernels that use them. The two files are
// not committed, because the builds of the kernels write them each time. It reads the compiled numbers, so tsc must run first.
import { statSync, writeFileSync } from "node:fs";

const SOURCE = "src/kernels/numbers.ts";
const COMPILED = "dist/src/kernels/numbers.js";
const HEAD = `// Written by tools/kernel-numbers.js from ${SOURCE}: a change made here is lost.\n`;

/** The compiled src/kernels/numbers.ts, which must be up to date. */
export async function readNumbers() {
  const compiled = statSync(COMPILED, { throwIfNoEntry: false });
  if (!compiled || compiled.mtimeMs < statSync(SOURCE).mtimeMs) {
    throw new Error(`${COMPILED} is older than ${SOURCE}: run npm run build:ts first`);
  }
  return import(new URL(`../${COMPILED}`, import.meta.url).href);
}

export async function writeForAssemblyScript() {
  writeFileSync("src/kernels/wasm/numbers.generated.ts", assemblyScript(await readNumbers()));
}

export async function writeForC() {
  writeFileSync("src/kernels/native/numbers.generated.h", c(await readNumbers()));
}

/** Constants, and an unmanaged class for each structure. `changetype` turns an address into such a class, without an object. */
export function assemblyScript(numbers) {
  const types = { address: "usize", integer: "i32", float: "f32", double: "f64" };
  const classes = structures(numbers).map(({ words, fields }) => {
    const lines = fields.map(({ name, kind }) => `  ${name}: ${types[kind]};\n`);
    return `@unmanaged export class ${words.map(capitalised).join("")} {\n${lines.join("")}}\n`;
  });
  const lines = constants(numbers).map(([name, value]) => `export const ${name}: i32 = ${value};\n`);
  return [HEAD, lines.join(""), ...classes].join("\n");
}

export function c(numbers) {
  const types = { address: "uint32_t", integer: "int32_t", float: "float", double: "double" };
  const structs = structures(numbers).map(({ words, fields }) => {
    const tag = words.join("_");
    const lines = fields.map(({ name, kind }) => `  ${types[kind]} ${wordsOf(name).join("_")};\n`);
    const last = fields[fields.length - 1];
    const check = `_Static_assert(offsetof(struct ${tag}, ${wordsOf(last.name).join("_")}) == ${last.offset}, "");`;
    return `struct ${tag} {\n${lines.join("")}};\n${check}\n`;
  });
  const lines = constants(numbers).map(([name, value]) => `  ${name} = ${value},\n`);
  const guard = "GPT2_NUMBERS_H";
  const includes = "#include <stddef.h>\n#include <stdint.h>\n";
  const open = `#ifndef ${guard}\n#define ${guard}\n`;
  return [HEAD, open, includes, `enum {\n${lines.join("")}};\n`, ...structs, "#endif\n"].join("\n");
}

/** All constants: names in capitals, and values. */
function constants({ KERNELS, ROW_SUMS, ...others }) {
  const ops = (prefix, table) => Object.entries(table).map(([name, { op }]) => [`${prefix}_${name}`, op]);
  const found = [...ops("OP", KERNELS), ...ops("ROW_SUMS", ROW_SUMS)];
  for (const [group, value] of Object.entries(others)) {
    if (typeof value === "number") found.push([group, value]);
    else if (!Array.isArray(value))
      found.push(...Object.entries(value).map(([key, v]) => [`${group}_${key}`, v]));
  }
  return found
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) => [name.split("_").flatMap(wordsOf).join("_").toUpperCase(), value]);
}

/** The structures: the instruction of each kernel (op, items, then its arguments), and the scratch of a row. */
function structures({ KERNELS, ROW_SCRATCH }) {
  const named = (fields) => Object.entries(fields).map(([name, field]) => ({ name, ...field }));
  const begin = ["op", "items"].map((name) => ({ name, kind: "integer" }));
  const instructions = Object.entries(KERNELS).map(([name, kernel]) => ({
    words: [...wordsOf(name), "instruction"],
    fields: [...begin, ...named(kernel.arguments)],
  }));
  return [...instructions, { words: ["row", "scratch"], fields: named(ROW_SCRATCH) }];
}

/** `inWidth` → in, width. A name in capitals is one word. */
function wordsOf(name) {
  return /[a-z]/.test(name) ? name.split(/(?=[A-Z])/).map((word) => word.toLowerCase()) : [name];
}

function capitalised(word) {
  return word[0].toUpperCase() + word.slice(1);
}
