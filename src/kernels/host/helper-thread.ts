// Entry of a helper thread: takes part in every kernel program until the engine stops.
import { workerData } from "node:worker_threads";
import type { HelperData } from "./executor.ts";
import { instantiateKernels } from "./kernel-build.ts";

const { kernels, memory, part, parts, seen } = workerData as HelperData;
instantiateKernels<{ help(part: number, parts: number, seen: number): void }>(kernels, memory).help(
  part,
  parts,
  seen,
);
