// The native kernels in `native/`, where the build step found a C compiler and this processor has their instructions.
// They take the place of those WebAssembly kernels for which wide vectors matter, with the same bits.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { messageOf } from "../../errors.ts";
import { OP } from "../program.ts";

/** Instruction sets that native kernels are written for. */
export type InstructionSet = "avx512-vnni" | "avx2";

/** Runs items `first` to `last` of an instruction, as thread `part`. */
export type RunInstruction = (instruction: number, part: number, first: number, last: number) => void;

/** What `native/binding.c` exports. */
interface Binding {
  readonly sets: readonly InstructionSet[];
  bind(set: InstructionSet, memory: Uint8Array): RunInstruction;
}

const NATIVE = [
  ...(["layerNorm", "matmul", "storeKv", "attention", "quantize", "matmulInt8", "readMemory"] as const),
  ...(["weigh", "sumExp", "massAbove"] as const),
];

/** The instructions that `native/execute.h` runs, as bits by their numbers. */
export const NATIVE_OPS = NATIVE.reduce((bits, name) => bits | (1 << OP[name]), 0);

/** Those of the instruction sets that can run here, the best first; none where the kernels are not built. */
export function nativeSets(): readonly InstructionSet[] {
  return loadBinding()?.sets ?? [];
}

/** Whether the native kernels were built, and why they cannot be loaded where that is so. */
export function nativeState(): { readonly isBuilt: boolean; readonly loadError: string | undefined } {
  const isBuilt = existsSync(new URL("kernels.node", import.meta.url));
  try {
    createRequire(import.meta.url)("./kernels.node");
    return { isBuilt, loadError: undefined };
  } catch (error) {
    return { isBuilt, loadError: messageOf(error) };
  }
}

/** The kernels of an instruction set on a memory, which must outlive the function. */
export function bindNative(set: InstructionSet, memory: WebAssembly.Memory): RunInstruction {
  const binding = loadBinding();
  if (!binding) throw new Error("the native kernels are not built");
  return binding.bind(set, new Uint8Array(memory.buffer));
}

/** The build step put it beside this file. What cannot be loaded, for want of a library or of rights, is not there. */
function loadBinding(): Binding | undefined {
  try {
    return createRequire(import.meta.url)("./kernels.node") as Binding;
  } catch {
    return undefined;
  }
}
