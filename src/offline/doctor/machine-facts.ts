// Gathers the facts about the machine: about the kernels here, the rest from `machine/`. `machine-checks.ts` judges them.
import { chooseBuild, type KernelChoice, nativeFault } from "../../kernels/host/choose-build.ts";
import { compileKernels, processorFlags } from "../../kernels/host/kernel-build.ts";
import { nativeState } from "../../kernels/host/native-binding.ts";
import type { KernelFacts } from "./machine-checks.ts";

export function kernelFacts(choice: KernelChoice): KernelFacts {
  const chosen = chooseBuild(choice);
  return {
    ...nativeState(),
    fault: nativeFault()?.reason,
    build: chosen === "relaxed" ? compileKernels(chosen).build : chosen,
    choice,
    arch: process.arch,
    processorFlags: processorFlags(),
  };
}
