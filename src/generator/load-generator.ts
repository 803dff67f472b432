// Loads a checkpoint directory into a `TextGenerator`, whose engine runs in a thread of its own.
import { MessageChannel, Worker } from "node:worker_threads";
import type { EngineInfo, EngineThreadData } from "../engine/thread/entry.ts";
import { type EngineThread, WorkerEngine, type WorkerEngineOptions } from "../engine/thread/worker-engine.ts";
import { GptError } from "../errors.ts";
import type { KernelChoice } from "../kernels/host/choose-build.ts";
import { threadsFor } from "../machine/cpus.ts";
import { memoryLimit } from "../machine/memory.ts";
import { MemoryBudget, type MemoryNeed } from "../machine/memory-budget.ts";
import { Checkpoint } from "../model/loading/checkpoint.ts";
import { checkpointState } from "../model/loading/checkpoint-state.ts";
import { memoryNeed } from "../model/loading/footprint.ts";
import type { WeightCacheSettings } from "../model/loading/weight-cache.ts";
import type { Precision } from "../model/weights.ts";
import { hasTokenizerFiles, loadTokenizer } from "../tokenizer/tokenizer-files.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { TextGenerator } from "./text-generator.ts";

export interface GeneratorOptions extends Omit<WorkerEngineOptions, "spawn" | "onClosed"> {
  /** Directory of the checkpoint. */
  readonly model: string;
  readonly name: string;
  /** Only for a model from a hub: its full name and commit. */
  readonly origin?: string;
  readonly precision: Precision;
  readonly kvCacheMb: number;
  /** 0, the default: one for each core, or as many as a container's CPU quota pays for. */
  readonly threads?: number;
  /** Most tokens in one pass, and most rows of logits that it computes. Default: `DEFAULT_PASS`. */
  readonly passTokensMax?: number;
  readonly passRowsMax?: number;
  /**
   * The memory that several models share. The model is counted in it until the generator is closed. Default: all memory that
   * this process may use.
   */
  readonly memory?: MemoryBudget;
  /** Default: auto. */
  readonly kernels?: KernelChoice;
  /** Default: true. */
  readonly prefixCache?: boolean;
  /** Default: false. */
  readonly speculation?: boolean;
  /** Abort it when the generator is no longer wanted, even while it is being loaded. A loaded one must still be closed. */
  readonly signal?: AbortSignal;
  /** Where to keep packed int8 weights between starts. Default: nowhere. */
  readonly weightCache?: WeightCacheSettings;
}

const ENGINE_THREAD = new URL("../engine/thread/entry.js", import.meta.url);

/** Starts an engine thread. `entry`: the file to run in it. */
export function spawnEngineThread(
  { directory, options, state }: Omit<EngineThreadData, "lifelines">,
  entry = ENGINE_THREAD,
): EngineThread {
  const channels = Array.from({ length: options.threads - 1 }, () => new MessageChannel());
  const theirs = channels.map(({ port2 }) => port2);
  const workerData: EngineThreadData = { directory, options, lifelines: theirs, ...(state && { state }) };
  // Node refuses to start a file with this one flag, which a thread would inherit.
  const execArgv = process.execArgv.filter((flag) => !flag.startsWith("--input-type"));
  const worker = new Worker(entry, { workerData, transferList: theirs, execArgv });
  return { worker, lifelines: channels.map(({ port1 }) => port1) };
}

/** The memory that the model would take, without loading it. @throws GptError `invalid_checkpoint` */
export function memoryNeedOf(options: GeneratorOptions): MemoryNeed {
  const { model: directory, name } = options;
  return {
    ...memoryNeed(
      directory,
      modelOptionsOf(options, () => {}),
    ),
    name,
  };
}

/**
 * Checks what can be checked without much memory: the headers of the weight files, the configuration, the tokenizer.
 * @throws GptError `invalid_checkpoint` or `invalid_tokenizer`
 */
export async function checkLoadable(directory: string): Promise<void> {
  Checkpoint.open(directory).close();
  if (hasTokenizerFiles(directory)) await loadTokenizer(directory);
}

function modelOptionsOf(options: GeneratorOptions, onProblem: (message: string) => void) {
  const { precision, kvCacheMb, threads = 0, kernels = "auto" } = options;
  const { prefixCache = true, speculation = false } = options;
  const { passTokensMax, passRowsMax, weightCache } = options;
  return {
    precision,
    kvCacheMb,
    kernels,
    prefixCache,
    speculation,
    threads: threadsFor(threads, onProblem),
    ...(passTokensMax && { passTokensMax }),
    ...(passRowsMax && { passRowsMax }),
    ...(weightCache && { weightCache }),
  };
}

/** @throws GptError `invalid_checkpoint`, `invalid_tokenizer` or `invalid_config`. */
export async function loadGenerator(options: GeneratorOptions): Promise<TextGenerator> {
  const { model: directory, name, origin, precision, memory = new MemoryBudget(memoryLimit()) } = options;
  const { onProblem = () => {}, signal } = options;
  const modelOptions = modelOptionsOf(options, onProblem);
  const need = { ...memoryNeed(directory, modelOptions), name };
  const state = checkpointState(directory);
  const isUnchanged = (): boolean => state === checkpointState(directory);
  const closed = new AbortController();
  const unwanted = signal === undefined ? closed.signal : AbortSignal.any([closed.signal, signal]);
  const warning = memory.claim(need);
  if (warning !== undefined) onProblem(warning);
  const starting = WorkerEngine.start<EngineInfo>({
    ...options,
    spawn: () => spawnEngineThread({ directory, options: modelOptions, state }),
    onClosed: () => {
      closed.abort();
      memory.release(need);
    },
  });
  starting.catch(() => {}); // It may fail before it is awaited, which must not count as an unhandled rejection.
  const fingerprint = fingerprintOf(directory, precision, unwanted).then((print) => {
    if (isUnchanged()) return print;
    throw new Error("the files changed while they were read");
  });
  fingerprint.catch(() => {});
  try {
    // The tokenizer is read here while the engine thread reads the weights.
    const tokenizer = hasTokenizerFiles(directory) ? await loadTokenizer(directory) : undefined;
    const { engine, info } = await starting;
    if (!isUnchanged()) {
      throw new GptError("invalid_checkpoint", `${directory}: its files changed while they were read`);
    }
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
    // Only the first error is reported.
    await starting.then(({ engine }) => engine.close()).catch(() => {});
    memory.release(need);
    throw error;
  }
}
