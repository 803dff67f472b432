// The builds of the kernels: native ones, and two WebAssembly builds. All give the same bits. The relaxed build (relaxed SIMD) is
// faster on processors that multiply bytes and add four products in one instruction. On others it is slower.
import { readFileSync } from "node:fs";
import type { SharedMemory } from "../memory.ts";
import type { InstructionSet } from "../numbers.ts";
import { bindNative, type NativeKernels, nativeMasks } from "./native-binding.ts";

/** The instruction set of native kernels, or a WebAssembly build. */
export type KernelBuild = InstructionSet | "plain" | "relaxed";

/** Linux's names of these instructions, on x86 and Arm. V8 does not use the AVX-512 ones. */
const DOT_PRODUCTS = /^(flags|Features)\s*:.*\b(avx_vnni|asimddp)\b/m;

/** `cpuinfo`: the text of Linux's /proc/cpuinfo; undefined on other systems. Every Mac with an Arm processor has dot products. */
export function preferredBuild(
  cpuinfo = readCpuinfo(),
  { platform, arch }: { platform: string; arch: string } = process,
): "plain" | "relaxed" {
  const hasDot = cpuinfo ? DOT_PRODUCTS.test(cpuinfo) : platform === "darwin" && arch === "arm64";
  return hasDot ? "relaxed" : "plain";
}

/** Compiled kernels, to be given to every thread. */
export interface CompiledKernels {
  readonly build: KernelBuild;
  /** A `WebAssembly.Module`; see `SharedMemory`. */
  readonly module: object;
}

/**
 * Compiles a build of the kernels. If this Node.js cannot run the relaxed build, it is the plain one. With native kernels the
 * plain build runs the program, and the kernels that have no native form.
 */
export function compileKernels(build: KernelBuild): CompiledKernels {
  if (build === "relaxed") {
    const relaxed = readBuild("kernels-relaxed.wasm");
    // Node.js 20 has relaxed SIMD behind a flag only, and its dot product is wrong: it ignores the sum that it should add to.
    if (WebAssembly.validate(relaxed)) return { build, module: new WebAssembly.Module(relaxed) };
  }
  const module = new WebAssembly.Module(readBuild("kernels.wasm"));
  return { build: build === "relaxed" ? "plain" : build, module };
}

/** Instantiates the kernels on the memory that all threads share. Returns the exports of `wasm/index.ts`. */
export function instantiateKernels<Exports>(
  { build, module }: CompiledKernels,
  memory: SharedMemory,
): Exports {
  const isWasm = build === "plain" || build === "relaxed";
  const masks = isWasm ? { kernels: 0, rowSums: 0 } : nativeMasks(build);
  const native = isWasm ? NO_NATIVE_KERNELS : bindNative(build, memory);
  const words = new Int32Array(memory.buffer);
  const env = {
    memory,
    sleep: (address: number, seen: number) => void Atomics.wait(words, address >>> 2, seen),
    nativeKernels: masks.kernels,
    nativeRowSums: masks.rowSums,
    runNative: native.run,
    sumNative: native.sum,
  };
  return new WebAssembly.Instance(module, { env }).exports as Exports;
}

const NO_NATIVE_KERNELS: NativeKernels = { run() {}, sum() {} };

/** `tools/build-wasm.js` puts both builds beside this file. */
function readBuild(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(name, import.meta.url)));
}

/** The processor's features by Linux's names. Undefined: unknown. */
export function processorFlags(cpuinfo = readCpuinfo()): readonly string[] | undefined {
  return /^(?:flags|Features)\s*:(.*)$/m
    .exec(cpuinfo ?? "")?.[1]
    ?.trim()
    .split(/\s+/);
}

function readCpuinfo(): string | undefined {
  try {
    return readFileSync("/proc/cpuinfo", "latin1");
  } catch {
    return undefined;
  }
}
