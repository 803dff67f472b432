// From a checkpoint directory to a model in memory.
import { Arena, LinearMemory } from "../kernels/memory.ts";
import { type Executor, Kernels, PAGE_POSITIONS } from "../kernels/program.ts";
import { ReferenceExecutor } from "../kernels/reference.ts";
import { type Lifeline, WasmExecutor } from "../kernels/wasm.ts";
import { Checkpoint } from "./checkpoint.ts";
import { Gpt2, layoutGpt2, pageBytes } from "./gpt2.ts";
import type { Gpt2Config } from "./gpt2-config.ts";
import { allocateStaging, Packer } from "./packing.ts";
import { loadWeights, type Precision, type TensorSource } from "./weights.ts";

export interface ModelOptions {
  readonly precision: Precision;
  /** Memory for keys and values, in MiB; at least one full context is always kept. */
  readonly kvCacheMb: number;
  readonly threads: number;
  /** `reference`: the plain TypeScript kernels, for tests. */
  readonly kernels?: "wasm" | "reference";
  /** One for each thread but the first; its other end tells when the thread dies. */
  readonly lifelines?: readonly Lifeline[];
}

/** Tokens in one pass: enough to fill the kernels, few enough that a long prompt does not stall its neighbours. */
const MAX_BATCH_TOKENS = 128;
/** Rows of logits in one pass: the widest request (64 sequences) must fit. */
const MAX_LOGIT_ROWS = 64;

/** @throws GptError `invalid_checkpoint` or `invalid_config`. */
export function loadModel(directory: string, options: ModelOptions): { backend: Gpt2; config: Gpt2Config } {
  const checkpoint = Checkpoint.open(directory);
  try {
    return { backend: buildModel(checkpoint, options), config: checkpoint.config };
  } finally {
    checkpoint.close();
  }
}

/** A model in memory from any source of tensors. */
export function buildModel(source: TensorSource, options: ModelOptions): Gpt2 {
  const { config } = source;
  const perContext = Math.ceil(config.contextLength / PAGE_POSITIONS);
  const capacity = {
    precision: options.precision,
    pages: Math.max(perContext, Math.floor((options.kvCacheMb * 2 ** 20) / pageBytes(config))),
    maxBatchTokens: MAX_BATCH_TOKENS,
    maxLogitRows: MAX_LOGIT_ROWS,
    threads: options.threads,
  };
  const arena = new Arena();
  const layout = layoutGpt2(arena, config, capacity);
  const staging = allocateStaging(arena, config);
  const executor = startExecutor(new LinearMemory(arena.size), options);
  try {
    loadWeights(new Packer(new Kernels(executor, layout.program), staging), layout.weights, source);
  } catch (error) {
    void executor.close();
    throw error;
  }
  return new Gpt2(config, layout, capacity, executor);
}

function startExecutor(memory: LinearMemory, options: ModelOptions): Executor {
  if (options.kernels === "reference") return new ReferenceExecutor(memory);
  return WasmExecutor.start(memory, options.threads, options.lifelines);
}
