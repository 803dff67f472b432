// Entry of a helper thread: runs its part of every kernel program until the engine stops.
import { workerData } from "node:worker_threads";
import type { HelperData } from "./wasm.ts";

const { module, memory, part } = workerData as HelperData;
const instance = new WebAssembly.Instance(module, { env: { memory } });
(instance.exports as unknown as { help(part: number): void }).help(part);
