// Which of the two builds of the kernels this machine runs. They give the same bits; the relaxed one is the faster where
// the processor multiplies bytes and adds four products in one instruction, and the slower where it does not.
import { readFileSync } from "node:fs";

export type KernelBuild = "plain" | "relaxed";

/** As Linux names the instructions: x86's, as V8 uses them (not the AVX-512 ones), and Arm's. */
const DOT_PRODUCTS = /^(flags|Features)\s*:.*\b(avx_vnni|asimddp)\b/m;

/** `cpuinfo`: the text of Linux's /proc/cpuinfo, undefined elsewhere. Every Mac with an Arm processor has dot products. */
export function preferredBuild(
  cpuinfo = readCpuinfo(),
  { platform, arch }: { platform: string; arch: string } = process,
): KernelBuild {
  const hasDot = cpuinfo ? DOT_PRODUCTS.test(cpuinfo) : platform === "darwin" && arch === "arm64";
  return hasDot ? "relaxed" : "plain";
}

/** Kernels, compiled. */
export interface CompiledKernels {
  readonly build: KernelBuild;
  readonly module: WebAssembly.Module;
}

/** Compiles a build of the kernels; the plain one when this Node.js cannot run the other. */
export function compileKernels(build: KernelBuild = preferredBuild()): CompiledKernels {
  if (build === "relaxed") {
    const relaxed = readBuild("kernels-relaxed.wasm");
    // Node.js 20 has relaxed SIMD behind a flag, and there the dot product forgets what it should add to.
    if (WebAssembly.validate(relaxed)) return { build, module: new WebAssembly.Module(relaxed) };
  }
  return { build: "plain", module: new WebAssembly.Module(readBuild("kernels.wasm")) };
}

/** The build step put both beside this file. */
function readBuild(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(name, import.meta.url)));
}

function readCpuinfo(): string | undefined {
  try {
    return readFileSync("/proc/cpuinfo", "latin1");
  } catch {
    return undefined;
  }
}
