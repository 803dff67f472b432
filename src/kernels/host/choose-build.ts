// Which kernels this machine runs: the native ones where they are here and have proved themselves, or else one of the WebAssembly
// builds.
import type { InstructionSet } from "../numbers.ts";
import { type KernelBuild, preferredBuild } from "./kernel-build.ts";
import { nativeSets, nativeState } from "./native-binding.ts";
import { faultOf } from "./self-check.ts";

/** Which kernels to run: the fastest that work here, or WebAssembly alone. */
export type KernelChoice = "auto" | "wasm";

/** What is wrong with the native kernels of a set, as long as the thread lives. */
const faults = new Map<InstructionSet, string | undefined>();

const NOT_ASKED: ReturnType<typeof nativeState> = { isBuilt: false, loadError: undefined };

/**
 * `onProblem` is told of native kernels that are here and cannot be loaded or are not to be trusted: without them all is several
 * times slower. Of kernels that are not to be trusted it is told once.
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

/** What is wrong with the best of the native kernels that were passed over, if any were. */
export function nativeFault(): { readonly set: InstructionSet; readonly reason: string } | undefined {
  for (const [set, reason] of faults) if (reason !== undefined) return { set, reason };
  return undefined;
}
