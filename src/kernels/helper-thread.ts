// Entry of a helper thread: runs its part of every kernel program until the engine stops.
import { workerData } from "node:worker_threads";
import { instantiateKernels } from "./kernel-build.ts";
import type { HelperData } from "./wasm.ts";

const { kernels, memory, part } = workerData as HelperData;
instantiateKernels<{ help(part: number): void }>(kernels, memory).help(part);
