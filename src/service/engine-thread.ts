// Entry of the engine thread: loads the model, says so when all its threads run, and runs the engine until it is closed.
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { EngineCore } from "../engine/engine-core.ts";
import type { FromEngine } from "../engine/messages.ts";
import type { EngineOptions } from "../engine/scheduler.ts";
import { runEngineLoop } from "../engine/worker-loop.ts";
import { GptError, messageOf } from "../errors.ts";
import { countParameters, type Gpt2Config } from "../model/gpt2-config.ts";
import { loadModel, type ModelOptions } from "../model/load.ts";

export interface EngineThreadData {
  readonly directory: string;
  readonly options: ModelOptions & EngineOptions;
  /** One for each helper thread. */
  readonly lifelines: readonly MessagePort[];
}

export interface EngineInfo {
  readonly config: Gpt2Config;
  readonly parameters: number;
}

const port = parentPort;
if (!port) throw new Error("this file is the entry of a worker thread");
const post = (message: FromEngine<EngineInfo>): void => port.postMessage(message);

try {
  const { directory, options, lifelines } = workerData as EngineThreadData;
  const { backend, config } = loadModel(directory, { ...options, lifelines });
  // From here on the death of any thread is seen by whoever holds its lifeline.
  await backend.ready;
  const core = new EngineCore(backend, config.eosTokenIds, options);
  runEngineLoop(core, port);
  post({ type: "ready", info: { config, parameters: countParameters(config) }, stats: core.stats() });
} catch (error) {
  const code = error instanceof GptError ? error.code : "engine_failed";
  post({ type: "failed", code, message: messageOf(error) });
  port.close();
}
