// Puts the parts together: a checkpoint directory becomes a `Generator` whose engine runs in a thread of its own.
import { MessageChannel, Worker } from "node:worker_threads";
import type { EngineInfo, EngineThreadData } from "../engine/thread/entry.ts";
import { type EngineThread, WorkerEngine, type WorkerEngineOptions } from "../engine/thread/worker-engine.ts";
import type { KernelChoice } from "../kernels/host/kernel-build.ts";
import { threadsFor } from "../machine/cpus.ts";
import { memoryLimit } from "../machine/memory.ts";
import { MemoryBudget } from "../machine/memory-budget.ts";
import { memoryNeed } from "../model/loading/footprint.ts";
import type { WeightCacheSettings } from "../model/loading/weight-cache.ts";
import type { Precision } from "../model/weights.ts";
import { hasTokenizerFiles, loadTokenizer } from "../tokenizer/tokenizer-files.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { TextGenerator } from "./text-generator.ts";

export interface GeneratorOptions extends Omit<WorkerEngineOptions, "spawn"> {
  /** Directory of the checkpoint. */
  readonly model: string;
  readonly name: string;
  /** Of a model of a hub: which one it is. */
  readonly origin?: string;
  readonly precision: Precision;
  readonly kvCacheMb: number;
  /** 0, the default: as many as the machine, or a container's CPU quota, has room for. */
  readonly threads?: number;
  /** Tokens in one pass, and rows of logits out of it. Default: `DEFAULT_PASS`. */
  readonly passTokensMax?: number;
  readonly passRowsMax?: number;
  /**
   * Memory that several models share; the model is counted in under its directory, and whoever closes the generator
   * counts it out. Default: all that this process may have.
   */
  readonly memory?: MemoryBudget;
  /** Default: auto. */
  readonly kernels?: KernelChoice;
  /** Default: true. */
  readonly prefixCache?: boolean;
  /** Where packed int8 weights are kept between starts. Default: nowhere. */
  readonly weightCache?: WeightCacheSettings;
}

const ENGINE_THREAD = new URL("../engine/thread/entry.js", import.meta.url);

/** Starts an engine thread; `entry` is its file. */
export function spawnEngineThread(
  directory: string,
  options: EngineThreadData["options"],
  entry = ENGINE_THREAD,
): EngineThread {
  const channels = Array.from({ length: options.threads - 1 }, () => new MessageChannel());
  const theirs = channels.map(({ port2 }) => port2);
  const workerData: EngineThreadData = { directory, options, lifelines: theirs };
  const worker = new Worker(entry, { workerData, transferList: theirs });
  return { worker, lifelines: channels.map(({ port1 }) => port1) };
}

/** @throws GptError `invalid_checkpoint`, `invalid_tokenizer` or `invalid_config`. */
export async function loadGenerator(options: GeneratorOptions): Promise<TextGenerator> {
  const {
    model: directory,
    name,
    origin,
    precision,
    kvCacheMb,
    threads: askedThreads = 0,
    passTokensMax,
    passRowsMax,
    memory = new MemoryBudget(memoryLimit()),
    kernels = "auto",
    prefixCache = true,
    weightCache,
    ...others
  } = options;
  const { onProblem = () => {} } = options;
  const modelOptions = {
    precision,
    kvCacheMb,
    threads: threadsFor(askedThreads, onProblem),
    kernels,
    prefixCache,
    ...(passTokensMax && { passTokensMax }),
    ...(passRowsMax && { passRowsMax }),
    ...(weightCache && { weightCache }),
  };
  const warning = memory.claim(memoryNeed(directory, modelOptions));
  if (warning !== undefined) onProblem(warning);
  const starting = WorkerEngine.start<EngineInfo>({
    spawn: () => spawnEngineThread(directory, modelOptions),
    ...others,
  });
  starting.catch(() => {}); // It may fail while nobody waits for it yet.
  const fingerprint = fingerprintOf(directory, precision);
  fingerprint.catch(() => {});
  try {
    // The tokenizer is read here while the thread reads the weights.
    const tokenizer = hasTokenizerFiles(directory) ? await loadTokenizer(directory) : undefined;
    const { engine, info } = await starting;
    const { vocabSize, contextLength, bosTokenId } = info.config;
    const facts = {
      name,
      ...(origin && { origin }),
      precision,
      kernels: info.kernels,
      threads: modelOptions.threads,
      parameters: info.parameters,
      vocabSize,
      contextLength,
      ...(tokenizer?.endOfTextId !== undefined && { endOfText: tokenizer.decode([tokenizer.endOfTextId]) }),
    };
    return new TextGenerator(engine, facts, tokenizer, bosTokenId, fingerprint);
  } catch (error) {
    // One error is reported: the first.
    await starting.then(({ engine }) => engine.close()).catch(() => {});
    memory.release(directory);
    throw error;
  }
}
