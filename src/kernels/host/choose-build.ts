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
 * times slower. Of a set that is not to be trusted it is told once.
 */
export function chooseBuild(
  choice: KernelChoice,
  onProblem: (message: string) => void = () => {},
  { isBuilt, loadError } = choice === "auto" ? nativeState() : NOT_ASKED,
): KernelBuild {
  if (isBuilt && loadError !== undefined) {
    onProblem(`the native kernels cannot be loaded, so WebAssembly computes, more slowly: ${loadError}`);
  }
  const canLoad = isBuilt && loadError === undefined;
  const sound = (canLoad ? nativeSets() : []).find((set) => !isFaulty(set, onProblem));
  return sound ?? preferredBuild();
}

function isFaulty(set: InstructionSet, onProblem: (message: string) => void): boolean {
  if (!faults.has(set)) {
    const fault = faultOf(set);
    faults.set(set, fault);
    if (fault !== undefined) onProblem(`the native kernels for ${set} are not used: ${fault}`);
  }
  return faults.get(set) !== undefined;
}

/** What is wrong with the native kernels that were passed over, if any were. */
export function nativeFault(): string | undefined {
  return [...faults.values()].find((fault) => fault !== undefined);
}
