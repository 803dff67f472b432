// Entry of a helper thread: runs its part of every kernel program until the engine stops.
import { workerData } from "node:worker_threads";
import type { HelperData } from "./wasm.ts";
import { instantiateKernels } from "./wasm-build.ts";

const { kernels, memory, part } = workerData as HelperData;
instantiateKernels<{ help(part: number): void }>(kernels, memory).help(part);
