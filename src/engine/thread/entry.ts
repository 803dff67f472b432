// The entry point of the engine thread. It loads the model, reports when all helper threads run, and runs the engine loop until
// it is closed.
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { GptError, messageOf } from "../../errors.ts";
import { countParameters, type Gpt2Config } from "../../model/gpt2-config.ts";
import { Checkpoint } from "../../model/loading/checkpoint.ts";
import { checkpointState } from "../../model/loading/checkpoint-state.ts";
import { type ModelOptions, prepareModel } from "../../model/loading/load-model.ts";
import { EngineCore } from "../engine-core.ts";
import type { EngineOptions } from "../scheduler.ts";
import type { FromEngine } from "./messages.ts";
import { giveWay } from "./niceness.ts";
import { runEngineLoop } from "./worker-loop.ts";

export interface EngineThreadData {
  readonly directory: string;
  readonly options: ModelOptions & EngineOptions;
  /**
   * The `checkpointState` at the time when the tokenizer was read. If the files have changed since, a restart must not load them:
   * other weights would answer under the old model's name. Undefined: any state is accepted.
   */
  readonly state?: string;
  /** One for each helper thread. */
  readonly lifelines: readonly MessagePort[];
}

export interface EngineInfo {
  readonly config: Gpt2Config;
  readonly parameters: number;
  /** Name of the kernels in use: see `KernelBuild`. */
  readonly kernels: string;
}

const port = parentPort;
if (!port) throw new Error("this file is the entry of a worker thread");
const post = (message: FromEngine<EngineInfo>): void => port.postMessage(message);

giveWay();

try {
  const { directory, options, state, lifelines } = workerData as EngineThreadData;
  if (state !== undefined && state !== checkpointState(directory)) {
    const message = `${directory}: its files are not those that were loaded first`;
    throw new GptError("invalid_checkpoint", message);
  }
  const onProblem = (message: string): void => post({ type: "problem", message });
  const onLoading = (part: number): void => post({ type: "loading", part });
  const checkpoint = Checkpoint.open(directory);
  const model = prepareModel(checkpoint, { ...options, lifelines, onProblem, onLoading });
  // From now on, each helper thread holds its lifeline, so the main thread sees when one dies.
  await model.ready;
  const { backend, config, saveWeights } = model.load();
  checkpoint.close();
  const core = new EngineCore(backend, config.eosTokenIds, options);
  let saved: Promise<void> | undefined;
  runEngineLoop(core, port, () => saved);
  const info = { config, parameters: countParameters(config), kernels: backend.kernels };
  post({ type: "ready", info, stats: core.stats() });
  saved = saveWeights?.();
} catch (error) {
  const code = error instanceof GptError ? error.code : "engine_failed";
  post({ type: "failed", code, message: messageOf(error) });
  port.close();
}
