// Puts the parts together: a checkpoint directory becomes a `Generator` whose engine runs in a thread of its own.
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { WorkerEngine } from "../engine/worker-engine.ts";
import type { Precision } from "../model/weights.ts";
import { hasTokenizerFiles, loadTokenizer } from "../tokenizer/tokenizer-files.ts";
import type { EngineInfo, EngineThreadData } from "./engine-thread.ts";
import type { Generator } from "./generation.ts";
import { TextGenerator } from "./text-generator.ts";

export interface GeneratorOptions {
  /** Directory of the checkpoint. */
  readonly model: string;
  readonly name: string;
  readonly precision: Precision;
  readonly kvCacheMb: number;
  /** Requests accepted and not finished; further ones are refused with `queue_full`. */
  readonly queueRequestsMax: number;
  /** Default: the cores of the machine. */
  readonly threads?: number;
}

/** @throws GptError `invalid_checkpoint`, `invalid_tokenizer` or `invalid_config`. */
export async function loadGenerator(options: GeneratorOptions): Promise<Generator> {
  const { model: directory, name, precision } = options;
  const threads = options.threads ?? availableParallelism();
  const workerData: EngineThreadData = {
    directory,
    options: { precision, kvCacheMb: options.kvCacheMb, threads },
  };
  const worker = new Worker(new URL("./engine-thread.js", import.meta.url), { workerData });
  const starting = WorkerEngine.start<EngineInfo>(worker, options.queueRequestsMax);
  try {
    // The tokenizer is read here while the thread reads the weights.
    const tokenizer = hasTokenizerFiles(directory) ? await loadTokenizer(directory) : undefined;
    const { engine, info } = await starting;
    const { vocabSize, contextLength, bosTokenId } = info.config;
    const facts = { name, precision, parameters: info.parameters, vocabSize, contextLength };
    return new TextGenerator(engine, facts, tokenizer, bosTokenId);
  } catch (error) {
    starting.catch(() => {}); // One error is reported: the first.
    await worker.terminate();
    throw error;
  }
}
