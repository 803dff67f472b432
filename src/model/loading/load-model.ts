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
import { assertAddressable, type CapacityOptions, capacityFor, memoryNeed } from "./footprint.ts";
import { loadWeights, WEIGHT_FORMAT } from "./load-weights.ts";
import { allocateStaging, Packer, type Staging } from "./packing.ts";
import type { TensorSource } from "./tensor-source.ts";
import { WeightCache, type WeightCacheSettings } from "./weight-cache.ts";

export interface ModelOptions extends CapacityOptions {
  /** Default: auto. `reference`: the plain TypeScript kernels, for tests. */
  readonly kernels?: KernelChoice | "reference";
  /** One for each thread but the first; its other end tells when the thread dies. */
  readonly lifelines?: readonly Lifeline[];
  /** Where packed int8 weights are kept between starts. Default: nowhere. */
  readonly weightCache?: WeightCacheSettings;
  /** Is told what the operator should know. */
  readonly onProblem?: (message: string) => void;
  /** Is told which part of the weights is read, from 0 to 1; rarely more than a hundred times. */
  readonly onLoading?: (part: number) => void;
}

export interface LoadedModel {
  readonly backend: Gpt2;
  readonly config: Gpt2Config;
  /** Keeps the packed weights for the next start; to be called once, at leisure. Undefined: they are kept, or not to be. */
  readonly saveWeights: (() => Promise<void>) | undefined;
}

/** A model that has its memory and its threads, but no weights yet. */
export interface PreparedModel {
  /** Resolves when all threads run, so that the death of any is seen; rejects when one has ended. */
  readonly ready: Promise<void>;
  /** Fills in the weights, on all threads. To be called once. */
  load(): LoadedModel;
}

/** @throws GptError `invalid_checkpoint`, or `invalid_config` when there is not memory enough. */
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

/** A model in memory from any source of tensors. */
export function buildModel(source: TensorSource, options: ModelOptions): LoadedModel {
  return prepareModel(source, options).load();
}

/** The first half of `buildModel`, for who can wait between the two until a death of a thread would be seen. */
export function prepareModel(source: TensorSource, options: ModelOptions): PreparedModel {
  const { config } = source;
  const capacity = capacityFor(config, options);
  assertAddressable(config, capacity);
  const arena = new Arena();
  const layout = layoutGpt2(arena, config, capacity);
  const staging = allocateStaging(arena, config);
  const executor = startExecutor(new LinearMemory(arena.size), options);
  const load = (): LoadedModel => {
    try {
      const kernels = new Kernels(executor, layout.program);
      const saveWeights = fillWeights({ kernels, staging, weights: layout.weights }, source, options);
      return { backend: new Gpt2(config, layout, capacity, executor), config, saveWeights };
    } catch (error) {
      void executor.close();
      throw error;
    }
  };
  return { ready: executor.ready, load };
}

function startExecutor(memory: LinearMemory, options: ModelOptions): Executor {
  const { kernels = "auto", threads, lifelines, onProblem } = options;
  if (kernels === "reference") return new ReferenceExecutor(memory);
  return WasmExecutor.start(memory, threads, lifelines, compileKernels(chooseBuild(kernels, onProblem)));
}

interface Place {
  readonly kernels: Kernels;
  readonly staging: Staging;
  readonly weights: Gpt2Weights;
}

/** Fills the weights from the cache or, failing that, from the source; then returns what keeps them, if they may be kept. */
function fillWeights(place: Place, source: TensorSource, options: ModelOptions): LoadedModel["saveWeights"] {
  const { kernels, staging, weights } = place;
  const { precision, weightCache, onProblem = () => {}, onLoading = () => {} } = options;
  const pack = (): void => {
    const tensors = precision === "int8" ? equalized(source) : source;
    loadWeights(new Packer(kernels, staging), weights, counted(tensors, onLoading));
  };
  // In f32 there is nothing to save: the packed weights are as large as the checkpoint, and quickly made.
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
  // What changed while it was read is nobody's weights.
  if (source.identity?.() !== identity) return undefined;
  return () => cache.write(entry, region, checksum(place));
}

/** The same tensors; `onLoading` is told with each of them which part of the numbers came before it. */
function counted(source: TensorSource, onLoading: (part: number) => void): TensorSource {
  const total = countParameters(source.config);
  let [numbers, told] = [0, -1];
  return {
    config: source.config,
    tensor(name, shape) {
      const part = Math.min(1, numbers / total);
      if (part - told >= 0.01) {
        told = part;
        onLoading(part);
      }
      numbers += shape.reduce((product, width) => product * width, 1);
      return source.tensor(name, shape);
    },
  };
}

/** A hash of all weights, from digests that all threads make. */
export function checksum({ kernels, staging, weights }: Place): string {
  const { address, bytes } = weights.region;
  kernels.digest(staging.values, address, bytes);
  kernels.run();
  const digests = kernels.memory.bytes(staging.values, DIGEST_BYTES * Math.ceil(bytes / DIGESTED_BYTES));
  return createHash("sha256").update(digests.slice()).digest("hex");
}
