// Gathers the facts about a checkpoint. It opens it, reads every weight, loads it, and compares one output with a published
// one. `model-checks.ts` judges the facts.
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { GptError } from "../../errors.ts";
import { memoryLimit } from "../../machine/memory.ts";
import { MemoryBudget } from "../../machine/memory-budget.ts";
import { countParameters, type Gpt2Config } from "../../model/gpt2-config.ts";
import { Checkpoint } from "../../model/loading/checkpoint.ts";
import { memoryNeed } from "../../model/loading/footprint.ts";
import { buildModel, type ModelOptions } from "../../model/loading/load-model.ts";
import { NUMBER_BYTES, numbersOf, type Tensor } from "../../model/loading/tensor.ts";
import type { TensorSource } from "../../model/loading/tensor-source.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { hasTokenizerFiles, loadTokenizer } from "../../tokenizer/tokenizer-files.ts";
import { type GoldenSet, goldenSetFor } from "../golden-outputs.ts";
import { verifyOutput } from "../verify.ts";
import type { GoldenFacts, HashFacts, NotFinite } from "./model-checks.ts";

export type InspectOptions = Pick<ModelOptions, "precision" | "threads" | "kernels" | "onLoading">;

export interface ModelFacts {
  readonly config: Gpt2Config;
  readonly parameters: number;
  readonly hashes: HashFacts;
  /** Undefined if there are no tokenizer files. */
  readonly tokenizer: { readonly vocabSize: number } | { readonly error: string } | undefined;
  readonly notFinite: NotFinite | undefined;
  /** Why the weights cannot be loaded; undefined if they can. */
  readonly loadError: GptError | undefined;
  readonly golden: GoldenFacts | undefined;
}

/** @throws GptError `invalid_checkpoint` when the checkpoint cannot be opened. */
export async function inspectModel(directory: string, options: InspectOptions): Promise<ModelFacts> {
  const checkpoint = Checkpoint.open(directory);
  try {
    const { config } = checkpoint;
    const tokenizer = await tokenizerOf(directory);
    const loaded = await inspectWeights(
      checkpoint,
      tokenizer instanceof GptError ? undefined : tokenizer,
      options,
    );
    return {
      config,
      parameters: countParameters(config),
      hashes: await compareHashes(directory),
      tokenizer: tokenizer instanceof GptError ? { error: tokenizer.message } : tokenizer,
      ...loaded,
    };
  } finally {
    checkpoint.close();
  }
}

async function tokenizerOf(directory: string): Promise<Tokenizer | GptError | undefined> {
  if (!hasTokenizerFiles(directory)) return undefined;
  return loadTokenizer(directory).catch((error) => {
    if (error instanceof GptError) return error;
    throw error;
  });
}

/** Enough for the published output with the widest beam search. */
const KV_CACHE_MB = 64;

async function inspectWeights(
  checkpoint: Checkpoint,
  tokenizer: Tokenizer | undefined,
  options: InspectOptions,
): Promise<Pick<ModelFacts, "notFinite" | "loadError" | "golden">> {
  const set = tokenizer && goldenSetFor(checkpoint.config);
  // The published outputs were computed in f32.
  const canCompare = set !== undefined && fits(checkpoint.directory, options.threads);
  const { source, notFinite } = scanned(checkpoint);
  try {
    const precision = canCompare ? "f32" : options.precision;
    const { backend, config } = buildModel(source, { ...options, precision, kvCacheMb: KV_CACHE_MB });
    try {
      const { eosTokenIds } = config;
      const golden = canCompare && tokenizer ? compare(set, { backend, eosTokenIds, tokenizer }) : undefined;
      return { notFinite: notFinite(), loadError: undefined, golden };
    } finally {
      await backend.close();
    }
  } catch (error) {
    if (!(error instanceof GptError)) throw error;
    return { notFinite: notFinite(), loadError: error, golden: undefined };
  }
}

function fits(directory: string, threads: number): boolean {
  try {
    const need = memoryNeed(directory, { precision: "f32", kvCacheMb: KV_CACHE_MB, threads });
    new MemoryBudget(memoryLimit()).claim(need);
    return true;
  } catch {
    return false;
  }
}

/** Compares the first published output, which is short. */
function compare(set: GoldenSet, model: Parameters<typeof verifyOutput>[0]): GoldenFacts | undefined {
  const [output] = set.outputs;
  return output && { name: set.name, output, differences: verifyOutput(model, output) };
}

/** The same tensors, but every number is checked as it is read. The first that is not finite is remembered. */
export function scanned(source: TensorSource): {
  readonly source: TensorSource;
  readonly notFinite: () => NotFinite | undefined;
} {
  let found: NotFinite | undefined;
  const tensor = (name: string, shape: readonly number[]): Tensor => {
    const { dtype, read } = source.tensor(name, shape);
    const scan = (first: number, into: Uint8Array): void => {
      read(first, into);
      if (found !== undefined) return;
      const stored: Tensor = { dtype, read: (_, copy) => copy.set(into) };
      const values = numbersOf(stored, 0, into.length / NUMBER_BYTES[dtype]);
      const at = values.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) found = { tensor: name, index: first + at, value: values[at] as number };
    };
    return { dtype, read: scan };
  };
  return { source: { config: source.config, tensor }, notFinite: () => found };
}

/** Compares files with their hashes. The hub's cache names each file by its SHA-256; a model's folder has links to them. */
export async function compareHashes(directory: string): Promise<HashFacts> {
  const known = readdirSync(directory).flatMap((name) => {
    const hash = basename(realpathSync(join(directory, name)));
    return /^[0-9a-f]{64}$/.test(hash) ? [{ name, hash }] : [];
  });
  const differing: string[] = [];
  for (const { name, hash } of known) {
    if ((await sha256(join(directory, name))) !== hash) differing.push(name);
  }
  return { numKnown: known.length, differing };
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
