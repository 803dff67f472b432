// Puts the parts together: a checkpoint directory becomes a `Generator` whose engine runs in a thread of its own.
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
   * Memory that several models share; the model is counted in until the generator is closed. Default: all that this
   * process may have.
   */
  readonly memory?: MemoryBudget;
  /** Default: auto. */
  readonly kernels?: KernelChoice;
  /** Default: true. */
  readonly prefixCache?: boolean;
  /** Default: false. */
  readonly speculation?: boolean;
  /** Aborted: the generator is not wanted any more, also while it is loaded. Whoever has it closes it all the same. */
  readonly signal?: AbortSignal;
  /** Where packed int8 weights are kept between starts. Default: nowhere. */
  readonly weightCache?: WeightCacheSettings;
}

const ENGINE_THREAD = new URL("../engine/thread/entry.js", import.meta.url);

/** Starts an engine thread; `entry` is its file. */
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

/** What the model would take, before it is loaded. @throws GptError `invalid_checkpoint` */
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
 * Looks at what can be looked at without taking memory: the tables of the weights, the configuration, the tokenizer.
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
  starting.catch(() => {}); // It may fail while nobody waits for it yet.
  const fingerprint = fingerprintOf(directory, precision, unwanted).then((print) => {
    if (isUnchanged()) return print;
    throw new Error("it may be that of the files which took the place of these");
  });
  fingerprint.catch(() => {});
  try {
    // The tokenizer is read here while the thread reads the weights.
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
    // One error is reported: the first.
    await starting.then(({ engine }) => engine.close()).catch(() => {});
    memory.release(need);
    throw error;
  }
}
