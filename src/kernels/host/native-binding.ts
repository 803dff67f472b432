// The native kernels in `native/`, where they were built for this system and this processor has their instructions.
// They take the place of those WebAssembly kernels for which wide vectors matter, with the same bits.
import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../errors.ts";
import type { SharedMemory } from "../memory.ts";
import { type InstructionSet, KERNELS, ROW_SUMS } from "../numbers.ts";

/** The kernels of one instruction set, bound to a memory. */
export interface NativeKernels {
  /** Runs items `first` to `last` of an instruction, as thread `part`. */
  run(instruction: number, part: number, first: number, last: number): void;
  /** Computes one of `ROW_SUMS` over what the row scratch names. */
  sum(sum: number, scratch: number): void;
}

/** What `native/binding.c` exports. */
export interface Binding {
  readonly sets: readonly InstructionSet[];
  bind(set: InstructionSet, memory: Uint8Array): NativeKernels;
}

/** What an instruction set does in the place of WebAssembly, as bits by the numbers of kernels and of sums. */
export function nativeMasks(set: InstructionSet): { readonly kernels: number; readonly rowSums: number } {
  return { kernels: maskOf(KERNELS, set), rowSums: maskOf(ROW_SUMS, set) };
}

type Table = Readonly<Record<string, { readonly op: number; readonly sets: readonly InstructionSet[] }>>;

function maskOf(table: Table, set: InstructionSet): number {
  const found = Object.values(table).filter(({ sets }) => sets.includes(set));
  return found.reduce((mask, { op }) => mask | (1 << op), 0);
}

/** Those of the instruction sets that can run here, the best first; none where the kernels are not built. */
export function nativeSets(): readonly InstructionSet[] {
  return loadBinding()?.sets ?? [];
}

/** One for each system and processor. On Linux it fits every C library (`tools/build-native.js`). */
const FILE = `./kernels-${process.platform}-${process.arch}.node`;

/** Whether the native kernels were built, and why they cannot be loaded where that is so. */
export function nativeState(): { readonly isBuilt: boolean; readonly loadError: string | undefined } {
  const path = fileURLToPath(new URL(FILE, import.meta.url));
  try {
    loadWhole(path);
    return { isBuilt: true, loadError: undefined };
  } catch (error) {
    return { isBuilt: existsSync(path), loadError: messageOf(error) };
  }
}

/** The kernels of an instruction set on a memory, which must outlive them. */
export function bindNative(set: InstructionSet, memory: SharedMemory): NativeKernels {
  const binding = loadBinding();
  if (!binding) throw new Error("the native kernels are not built");
  return binding.bind(set, new Uint8Array(memory.buffer));
}

/** The build step put it beside this file. What cannot be loaded, for want of a library or of rights, is not there. */
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
 * Loads a file whose digest is that which the build step put beside it: of a file that is cut, the loader notices nothing, and the
 * process dies of it.
 */
export function loadWhole(path: string): Binding {
  const digest = hash("sha256", readFileSync(path));
  if (digest !== readFileSync(`${path}.sha256`, "utf8").trim()) {
    throw new Error(`${path} is not the file that was built: its SHA-256 is another than in ${path}.sha256`);
  }
  return createRequire(import.meta.url)(path) as Binding;
}
