// The builds of the kernels: native ones, and two of WebAssembly. All give the same bits. The relaxed
// build is the faster where the processor multiplies bytes and adds four products in one instruction, and the slower
// where it does not.
import { readFileSync } from "node:fs";
import type { SharedMemory } from "../memory.ts";
import type { InstructionSet } from "../numbers.ts";
import { bindNative, type NativeKernels, nativeMasks } from "./native-binding.ts";

/** The instruction set of native kernels, or a WebAssembly build. */
export type KernelBuild = InstructionSet | "plain" | "relaxed";

/** As Linux names the instructions: x86's, as V8 uses them (not the AVX-512 ones), and Arm's. */
const DOT_PRODUCTS = /^(flags|Features)\s*:.*\b(avx_vnni|asimddp)\b/m;

/** `cpuinfo`: the text of Linux's /proc/cpuinfo, undefined elsewhere. Every Mac with an Arm processor has dot products. */
export function preferredBuild(
  cpuinfo = readCpuinfo(),
  { platform, arch }: { platform: string; arch: string } = process,
): "plain" | "relaxed" {
  const hasDot = cpuinfo ? DOT_PRODUCTS.test(cpuinfo) : platform === "darwin" && arch === "arm64";
  return hasDot ? "relaxed" : "plain";
}

/** Kernels, compiled: what every thread is given to run them. */
export interface CompiledKernels {
  readonly build: KernelBuild;
  /** A `WebAssembly.Module`; see `SharedMemory`. */
  readonly module: object;
}

/**
 * Compiles a build of the kernels; the plain one when this Node.js cannot run the relaxed one. Native kernels have the
 * plain build for all that they leave to it.
 */
export function compileKernels(build: KernelBuild): CompiledKernels {
  if (build === "relaxed") {
    const relaxed = readBuild("kernels-relaxed.wasm");
    // Node.js 20 has relaxed SIMD behind a flag, and there the dot product forgets what it should add to.
    if (WebAssembly.validate(relaxed)) return { build, module: new WebAssembly.Module(relaxed) };
  }
  const module = new WebAssembly.Module(readBuild("kernels.wasm"));
  return { build: build === "relaxed" ? "plain" : build, module };
}

/** The exports of `wasm/index.ts` on the memory that all threads share. */
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

/** The build step put both beside this file. */
function readBuild(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(name, import.meta.url)));
}

/** What the processor can do, as Linux names it; undefined: not known. */
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
