// Compiles the native kernels to dist/src/kernels/host/kernels-SYSTEM-x64.node, on x86-64 and if there is a C compiler. Vectors of
// x86-64 are two or four times as wide as WebAssembly's; on other processors WebAssembly does all the work.
// The build is reproducible: the same sources and compiler give the same bytes, in any folder. On Linux the file does not name a C
// library. The four functions that it needs come from the process that loads it, so it works with glibc and with musl.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { include_dir as include } from "node-api-headers";
import { writeForC } from "./kernel-numbers.js";

const SOURCES = "src/kernels/native";
const FOLDER = "dist/src/kernels/host";
const OUTPUT = `${FOLDER}/kernels-${process.platform}-${process.arch}.node`;

/** Each instruction set has its own source file, and only that one is compiled with its instructions. */
const FILES = [
  { name: "binding", flags: [] },
  { name: "avx2", flags: ["-mavx2"] },
  {
    name: "avx512",
    flags: ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mprefer-vector-width=512"],
  },
];

// No fused multiply-add (-ffp-contract=off): it would round once, and the kernels' definition rounds twice.
const FLAGS = [
  "-std=c11",
  "-O3",
  "-ffp-contract=off",
  "-fno-strict-aliasing",
  "-fPIC",
  "-fvisibility=hidden",
  "-fno-math-errno",
  "-fno-stack-protector",
];

const LINK_FLAGS =
  process.platform === "darwin"
    ? ["-bundle", "-undefined", "dynamic_lookup"]
    : ["-shared", "-nostdlib", "-Wl,-z,now,--build-id=none,--strip-all"];
// The compiler's own functions, such as the detection of the processor's instruction sets. It must follow the objects.
const LIBRARIES = process.platform === "darwin" ? [] : ["-lgcc"];

mkdirSync(FOLDER, { recursive: true });
for (const file of [OUTPUT, `${OUTPUT}.sha256`]) rmSync(file, { force: true });
await writeForC();
const reason = build();
if (!reason)
  writeFileSync(`${OUTPUT}.sha256`, `${createHash("sha256").update(readFileSync(OUTPUT)).digest("hex")}\n`);
console.log(reason ? `No native kernels: ${reason}.` : `Native kernels: ${OUTPUT}.`);

/** @returns why no native kernels were built; undefined if they were */
function build() {
  if (process.arch !== "x64") return `there are none for ${process.arch}`;
  // CC as make reads it: a compiler, perhaps with a wrapper and flags, as in CC="ccache gcc".
  const compiler = (process.env.CC || "cc").split(/\s+/).filter((word) => word !== "");
  const objects = FILES.map(({ name }) => `${FOLDER}/${name}.o`);
  try {
    for (const [i, { name, flags }] of FILES.entries()) {
      const failed = run(compiler, [
        ...FLAGS,
        ...flags,
        "-I",
        include,
        "-c",
        `${SOURCES}/${name}.c`,
        "-o",
        objects[i],
      ]);
      if (failed) return failed;
    }
    return run(compiler, [...LINK_FLAGS, ...objects, ...LIBRARIES, "-o", OUTPUT]);
  } finally {
    for (const object of objects) rmSync(object, { force: true });
  }
}

function run([command, ...first], args) {
  const { error, status, stderr } = spawnSync(command, [...first, ...args], { encoding: "utf8" });
  if (error) return `${command} cannot be run (${error.code})`;
  return status === 0 ? undefined : `${command} failed: ${stderr.trim().slice(0, 2000)}`;
}
