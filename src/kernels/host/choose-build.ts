// Chooses the kernels for this machine: native ones if they are built and pass the self-check, otherwise one of the two
// WebAssembly builds.
import type { InstructionSet } from "../numbers.ts";
import { type KernelBuild, preferredBuild } from "./kernel-build.ts";
import { nativeSets, nativeState } from "./native-binding.ts";
import { faultOf } from "./self-check.ts";

/** `auto`: the fastest kernels that work here. `wasm`: never native ones. */
export type KernelChoice = "auto" | "wasm";

/** The result of each set's self-check; undefined: it passed. Kept as long as the thread lives. */
const faults = new Map<InstructionSet, string | undefined>();

const NOT_ASKED: ReturnType<typeof nativeState> = { isBuilt: false, loadError: undefined };

/**
 * Calls `onProblem` if native kernels are built but cannot be loaded, or fail the self-check: without them everything is several
 * times slower. A failed self-check is reported once in each thread.
 */
export function chooseBuild(
  choice: KernelChoice,
  onProblem: (message: string) => void = () => {},
  { isBuilt, loadError } = choice === "auto" ? nativeState() : NOT_ASKED,
): KernelBuild {
  if (isBuilt && loadError !== undefined) {
    onProblem(`the native kernels cannot be loaded, so WebAssembly computes, more slowly: ${loadError}`);
  }
  const sets = isBuilt && loadError === undefined ? nativeSets() : [];
  const isFirstTime = faults.size === 0;
  const sound = sets.find((set) => faultIn(set) === undefined);
  const fault = nativeFault();
  if (isFirstTime && fault !== undefined) {
    onProblem(`the native kernels for ${fault.set} are not used, because ${fault.reason}`);
  }
  return sound ?? preferredBuild();
}

function faultIn(set: InstructionSet): string | undefined {
  if (!faults.has(set)) faults.set(set, faultOf(set));
  return faults.get(set);
}

/** The first instruction set whose self-check failed, and the reason. */
export function nativeFault(): { readonly set: InstructionSet; readonly reason: string } | undefined {
  for (const [set, reason] of faults) if (reason !== undefined) return { set, reason };
  return undefined;
}
