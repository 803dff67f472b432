// Loads the native kernels of `native/`, if they were built for this system. They replace the WebAssembly kernels that gain much
// from wide vectors, and give the same bits.
import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../errors.ts";
import type { SharedMemory } from "../memory.ts";
import { type InstructionSet, KERNELS, ROW_SUMS } from "../numbers.ts";

/** The kernels of one instruction set, bound to a memory. */
export interface NativeKernels {
  /** Computes items `first` to `last` of an instruction, as thread `part`. */
  run(instruction: number, part: number, first: number, last: number): void;
  /** Computes one of `ROW_SUMS`. The row scratch has its input and gets its result. */
  sum(sum: number, scratch: number): void;
}

/** The exports of `native/binding.c`. */
export interface Binding {
  readonly sets: readonly InstructionSet[];
  bind(set: InstructionSet, memory: Uint8Array): NativeKernels;
}

/** Masks of the kernels and sums with a native form for this instruction set: bit n is kernel or sum number n. */
export function nativeMasks(set: InstructionSet): { readonly kernels: number; readonly rowSums: number } {
  return { kernels: maskOf(KERNELS, set), rowSums: maskOf(ROW_SUMS, set) };
}

type Table = Readonly<Record<string, { readonly op: number; readonly sets: readonly InstructionSet[] }>>;

function maskOf(table: Table, set: InstructionSet): number {
  const found = Object.values(table).filter(({ sets }) => sets.includes(set));
  return found.reduce((mask, { op }) => mask | (1 << op), 0);
}

/** The instruction sets that can run here, the best first. None if the kernels are not built. */
export function nativeSets(): readonly InstructionSet[] {
  return loadBinding()?.sets ?? [];
}

/** There is one file for each system and processor. On Linux it works with every C library (`tools/build-native.js`). */
const FILE = `./kernels-${process.platform}-${process.arch}.node`;

/** Whether the native kernels were built, and why they cannot be loaded, if they cannot. */
export function nativeState(): { readonly isBuilt: boolean; readonly loadError: string | undefined } {
  const path = fileURLToPath(new URL(FILE, import.meta.url));
  try {
    loadWhole(path);
    return { isBuilt: true, loadError: undefined };
  } catch (error) {
    return { isBuilt: existsSync(path), loadError: messageOf(error) };
  }
}

/** Binds the kernels of an instruction set to a memory. It must live as long as they are used. */
export function bindNative(set: InstructionSet, memory: SharedMemory): NativeKernels {
  const binding = loadBinding();
  if (!binding) throw new Error("the native kernels are not built");
  return binding.bind(set, new Uint8Array(memory.buffer));
}

/** `tools/build-native.js` puts the file beside this one. If it cannot be loaded, for any reason, there are no native kernels. */
function loadBinding(): Binding | undefined {
  try {
    binding ??= loadWhole(fileURLToPath(new URL(FILE, import.meta.url)));
    return binding;
  } catch {
    return undefined;
  }
}

let binding: Binding | undefined;

/**
 * Loads a native module, after a comparison with the digest that the build put beside it. The system's loader does not notice
 * that a file is truncated, and then the process would crash.
 */
export function loadWhole(path: string): Binding {
  const digest = hash("sha256", readFileSync(path));
  if (digest !== readFileSync(`${path}.sha256`, "utf8").trim()) {
    throw new Error(`${path} is not the file that was built: its SHA-256 is another than in ${path}.sha256`);
  }
  return createRequire(import.meta.url)(path) as Binding;
}
