// From a checkpoint directory to a model in memory.
import { createHash } from "node:crypto";
import { chooseBuild, type KernelChoice } from "../../kernels/host/choose-build.ts";
import { type Lifeline, WasmExecutor } from "../../kernels/host/executor.ts";
import { compileKernels } from "../../kernels/host/kernel-build.ts";
import { Arena, LinearMemory } from "../../kernels/memory.ts";
import { DIGEST_BYTES, DIGESTED_BYTES } from "../../kernels/numbers.ts";
import { type Executor, Kernels } from "../../kernels/program.ts";
import { ReferenceExecutor } from "../../kernels/reference/kernels.ts";
import { memoryLimit } from "../../machine/memory.ts";
import { MemoryBudget } from "../../machine/memory-budget.ts";
import { Gpt2, layoutGpt2 } from "../gpt2.ts";
import { countParameters, type Gpt2Config } from "../gpt2-config.ts";
import type { Gpt2Weights } from "../weights.ts";
import { Checkpoint } from "./checkpoint.ts";
import { equalized } from "./equalize.ts";
import { assertAddressable, type MemoryOptions, memoryNeed, planMemory } from "./footprint.ts";
import { loadWeights, WEIGHT_FORMAT } from "./load-weights.ts";
import { allocateStaging, Packer, type Staging } from "./packing.ts";
import type { TensorSource } from "./tensor-source.ts";
import { WeightCache, type WeightCacheSettings } from "./weight-cache.ts";

export interface ModelOptions extends MemoryOptions {
  /** Default: auto. `reference`: the plain TypeScript kernels, for tests. */
  readonly kernels?: KernelChoice | "reference";
  /** Called with what is about to compute the passes; the result takes its place. */
  readonly instrument?: (executor: Executor) => Executor;
  /** One for each thread but the first. Its other end is closed when the thread dies. */
  readonly lifelines?: readonly Lifeline[];
  /** Where packed int8 weights are stored for the next start. Default: nowhere. */
  readonly weightCache?: WeightCacheSettings;
  /** Called with what the operator should know. */
  readonly onProblem?: (message: string) => void;
  /** Called with the part of the weights that has been read, from 0 to 1. About a hundred times at most. */
  readonly onLoading?: (part: number) => void;
}

export interface LoadedModel {
  readonly backend: Gpt2;
  readonly config: Gpt2Config;
  /**
   * Stores the packed weights for the next start. To be called once, at any time. Undefined: they are stored already, or should
   * not be.
   */
  readonly saveWeights: (() => Promise<void>) | undefined;
}

/** A model that has its memory and its threads, but no weights yet. */
export interface PreparedModel {
  /** Resolves when all threads run: from then on the death of each is noticed. Rejects when one has ended. */
  readonly ready: Promise<void>;
  /** Loads the weights, on all threads. To be called once. */
  load(): LoadedModel;
}

/** @throws GptError `invalid_checkpoint`, or `invalid_config` when there is not enough memory. */
export function loadModel(directory: string, options: ModelOptions): LoadedModel {
  const warning = new MemoryBudget(memoryLimit()).claim(memoryNeed(directory, options));
  if (warning !== undefined) options.onProblem?.(warning);
  const checkpoint = Checkpoint.open(directory);
  try {
    return buildModel(checkpoint, options);
  } finally {
    checkpoint.close();
  }
}

/** Loads a model from any source of tensors. */
export function buildModel(source: TensorSource, options: ModelOptions): LoadedModel {
  return prepareModel(source, options).load();
}

/**
 * The first half of `buildModel`. Between the halves a caller can wait for `ready`, after which no death of a thread is missed.
 */
export function prepareModel(source: TensorSource, options: ModelOptions): PreparedModel {
  const { config } = source;
  const plan = planMemory(config, options);
  assertAddressable(config, plan);
  const arena = new Arena();
  const layout = layoutGpt2(arena, config, plan);
  const staging = allocateStaging(arena, config);
  const executor = startExecutor(new LinearMemory(arena.size), options);
  const load = (): LoadedModel => {
    try {
      const kernels = new Kernels(executor, layout.program);
      const saveWeights = fillWeights({ kernels, staging, weights: layout.weights }, source, options);
      return { backend: new Gpt2(config, layout, plan, executor), config, saveWeights };
    } catch (error) {
      void executor.close();
      throw error;
    }
  };
  return { ready: executor.ready, load };
}

function startExecutor(memory: LinearMemory, options: ModelOptions): Executor {
  const { kernels = "auto", threads, lifelines, onProblem, instrument = (executor) => executor } = options;
  if (kernels === "reference") return instrument(new ReferenceExecutor(memory));
  const build = compileKernels(chooseBuild(kernels, onProblem));
  return instrument(WasmExecutor.start(memory, threads, lifelines, build));
}

interface Place {
  readonly kernels: Kernels;
  readonly staging: Staging;
  readonly weights: Gpt2Weights;
}

/**
 * Loads the weights from the cache, or else from the source. Then it returns the function that stores them in the cache, if they
 * may be.
 */
function fillWeights(place: Place, source: TensorSource, options: ModelOptions): LoadedModel["saveWeights"] {
  const { kernels, staging, weights } = place;
  const { precision, weightCache, onProblem = () => {}, onLoading = () => {} } = options;
  const pack = (): void => {
    const tensors = precision === "int8" ? equalized(source) : source;
    loadWeights(new Packer(kernels, staging), weights, counted(tensors, onLoading));
  };
  // f32 weights are not cached: packed, they are as large as the checkpoint, and packing is fast.
  const identity = weightCache && precision === "int8" ? source.identity?.() : undefined;
  if (!weightCache || identity === undefined) {
    pack();
    return undefined;
  }
  const { address, bytes } = weights.region;
  const region = kernels.memory.bytes(address, bytes);
  const entry = { key: `${precision} ${WEIGHT_FORMAT} ${identity}`, bytes };
  const cache = new WeightCache(weightCache, onProblem);
  if (cache.read(entry, region, () => checksum(place))) return undefined;
  pack();
  // If the files changed while they were read, these weights belong to no identity.
  if (source.identity?.() !== identity) return undefined;
  return () => cache.write(entry, region, checksum(place));
}

/** The same tensors. Before each of them it calls `onLoading` with the part of all numbers that came before. */
function counted(source: TensorSource, onLoading: (part: number) => void): TensorSource {
  const total = countParameters(source.config);
  let [numbers, reported] = [0, -1];
  return {
    config: source.config,
    tensor(name, shape) {
      const part = Math.min(1, numbers / total);
      if (part - reported >= 0.01) {
        reported = part;
        onLoading(part);
      }
      numbers += shape.reduce((product, width) => product * width, 1);
      return source.tensor(name, shape);
    },
  };
}

/** A hash of all weights. All threads compute digests, which are hashed. */
export function checksum({ kernels, staging, weights }: Place): string {
  const { address, bytes } = weights.region;
  kernels.digest(staging.values, address, bytes);
  kernels.run();
  const digests = kernels.memory.bytes(staging.values, DIGEST_BYTES * Math.ceil(bytes / DIGESTED_BYTES));
  return createHash("sha256").update(digests.slice()).digest("hex");
}
