// Which files of a repository make up a GPT-2 model that can be loaded, which files replace one another, and the message for
// a repository that is something else. Nothing is fetched or read from disk here.
import { z } from "zod";
import { GptError } from "../errors.ts";
import { quote } from "../wording.ts";
import { printable } from "./failure.ts";
import type { ListedFile, Listing } from "./listing.ts";

export const CONFIG_FILE = "config.json";
export const TOKENIZER_FILE = "tokenizer.json";
export const TOKENIZER_PAIR = ["vocab.json", "merges.txt"] as const;
/** The same two under the names of OpenAI's release. */
export const OLD_TOKENIZER_PAIR = ["encoder.json", "vocab.bpe"] as const;
/** Optional files, read if the repository has them. */
export const SIDE_FILES = [
  "generation_config.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
] as const;

interface WeightFile {
  readonly name: string;
  /** True: this file only lists other files, and those hold the weights. */
  readonly isIndex: boolean;
  readonly kind: "safetensors" | "pytorch_model.bin";
}

/** The forms of weights, in the order of preference. */
export const WEIGHT_FILES: readonly WeightFile[] = [
  { name: "model.safetensors", isIndex: false, kind: "safetensors" },
  { name: "model.safetensors.index.json", isIndex: true, kind: "safetensors" },
  { name: "pytorch_model.bin", isIndex: false, kind: "pytorch_model.bin" },
  { name: "pytorch_model.bin.index.json", isIndex: true, kind: "pytorch_model.bin" },
];

/** Every file name that is ever asked for, except the parts that an index names. */
export const KNOWN_NAMES: readonly string[] = [
  CONFIG_FILE,
  ...SIDE_FILES,
  TOKENIZER_FILE,
  ...TOKENIZER_PAIR,
  ...OLD_TOKENIZER_PAIR,
  ...WEIGHT_FILES.map(({ name }) => name),
];

const CONFIG_BYTES_MAX = 1_000_000;
const SMALL_BYTES_MAX = 64_000_000;
const PART_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,200}$/;

export interface ModelFiles {
  readonly config: ListedFile;
  readonly small: readonly ListedFile[];
  readonly weights: ListedFile;
  readonly hasParts: boolean;
  /** Those of `KNOWN_NAMES` that the commit does not have. */
  readonly absent: readonly string[];
  /** False: the model can read and write token ids only, no text. */
  readonly hasTokenizer: boolean;
}

/** @throws GptError `invalid_checkpoint` that says what the repository is instead. */
export async function chooseFiles(listing: Listing): Promise<ModelFiles> {
  const found = new Map<string, ListedFile>();
  for (const name of KNOWN_NAMES) {
    const file = await listing.find(name);
    if (file !== undefined) found.set(name, file);
  }
  const config = found.get(CONFIG_FILE);
  const weightFile = WEIGHT_FILES.find(({ name }) => found.has(name));
  const weights = weightFile && found.get(weightFile.name);
  if (config === undefined || weightFile === undefined || weights === undefined) {
    throw unusable(listing, whatItIs(listing.names, config === undefined));
  }
  const hasAll = (pair: readonly string[]): boolean => pair.every((name) => found.has(name));
  const isOld = !found.has(TOKENIZER_FILE) && !hasAll(TOKENIZER_PAIR);
  const names = [...SIDE_FILES, TOKENIZER_FILE, ...TOKENIZER_PAIR, ...(isOld ? OLD_TOKENIZER_PAIR : [])];
  const small = names.flatMap((name) => found.get(name) ?? []);
  checkSize(listing, config, CONFIG_BYTES_MAX);
  for (const file of [...small, ...(weightFile.isIndex ? [weights] : [])]) {
    checkSize(listing, file, SMALL_BYTES_MAX);
  }
  return {
    config,
    small,
    weights,
    hasParts: weightFile.isIndex,
    absent: KNOWN_NAMES.filter((name) => !found.has(name)),
    hasTokenizer: found.has(TOKENIZER_FILE) || hasAll(TOKENIZER_PAIR) || hasAll(OLD_TOKENIZER_PAIR),
  };
}

function checkSize(listing: Listing, { name, size }: ListedFile, max: number): void {
  if (size > max) throw unusable(listing, `its ${name} has ${size} bytes, and at most ${max} are read`);
}

const OTHER_KINDS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^adapter_config\.json$/, "it is an adapter for another model: merge the two first"],
  [/\.gguf$/, "it has only GGUF files"],
  [/^(tf_model\.h5|flax_model\.msgpack)$/, "it has only weights for TensorFlow or Flax"],
  [/\.ckpt(\.|$)/, "it has only weights for TensorFlow"],
  [/\.onnx$/, "it has only ONNX files"],
];

function whatItIs(names: readonly string[], lacksConfig: boolean): string {
  const other = OTHER_KINDS.find(([pattern]) => names.some((name) => pattern.test(name)));
  if (other !== undefined) return other[1];
  if (lacksConfig) return `it has no ${CONFIG_FILE}`;
  return `it has none of ${WEIGHT_FILES.map(({ name }) => name).join(", ")}`;
}

/**
 * Checks the text of config.json before anything large is fetched.
 * @throws GptError `invalid_checkpoint` when it describes another architecture.
 */
export function checkConfig(listing: Listing, text: string): void {
  const type = modelTypeOf(text);
  if (type === undefined) throw unusable(listing, `its ${CONFIG_FILE} is not a JSON object`);
  if (!isGpt2(type)) throw unusable(listing, `model_type is ${quote(printable(type.modelType ?? ""))}`);
}

export interface ModelType {
  readonly modelType: string | undefined;
  readonly hasHeads: boolean;
}

/** `text`: of a config.json. Undefined: it is not a JSON object. */
export function modelTypeOf(text: string): ModelType | undefined {
  try {
    const parsed = z.looseObject({ model_type: z.string().optional() }).safeParse(JSON.parse(text));
    if (!parsed.success) return undefined;
    return { modelType: parsed.data.model_type, hasHeads: Object.hasOwn(parsed.data, "n_head") };
  } catch {
    return undefined;
  }
}

/** Old files have no `model_type`. They are recognised by `n_head`, which is GPT-2's own name for that field. */
export function isGpt2({ modelType, hasHeads }: ModelType): boolean {
  return modelType === undefined ? hasHeads : modelType === "gpt2";
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** The files that an index names. Undefined: the text is not an index, or names files outside the folder. */
export function partsOf(index: string): readonly string[] | undefined {
  try {
    const parsed = indexSchema.safeParse(JSON.parse(index));
    const names = parsed.success ? [...new Set(Object.values(parsed.data.weight_map))].sort() : [];
    return names.length > 0 && names.every((name) => PART_NAME.test(name)) ? names : undefined;
  } catch {
    return undefined;
  }
}

/** @throws GptError `invalid_checkpoint` when the index, or a file that it names, is not what it should be. */
export async function listedParts(
  listing: Listing,
  { name }: ListedFile,
  index: string,
): Promise<ListedFile[]> {
  const names = partsOf(index);
  if (names === undefined) throw unusable(listing, `its ${name} has no weight_map of files beside it`);
  const parts: ListedFile[] = [];
  for (const part of names) {
    const file = await listing.find(part);
    if (file === undefined) throw unusable(listing, `its ${name} names ${part}, which is not there`);
    parts.push(file);
  }
  return parts;
}

function unusable({ id, commit }: Listing, why: string): GptError {
  return new GptError("invalid_checkpoint", `${id} at ${commit.slice(0, 8)} cannot be used: ${why}`);
}
