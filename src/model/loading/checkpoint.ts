// A Hugging Face checkpoint directory: config.json, generation_config.json, and the weights. Whether those are in
// model.safetensors, in pytorch_model.bin or in shards, `tensor(name, shape)` reads them. Names are those of `GPT2LMHeadModel`
// without a prefix.
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { z } from "zod";
import { GptError } from "../../errors.ts";
import { readJsonFile } from "../../files/json-file.ts";
import { type Gpt2Config, parseGenerationConfig, parseGpt2Config } from "../gpt2-config.ts";
import { identityOf } from "./identity.ts";
import { PytorchFile } from "./pytorch/pytorch-file.ts";
import { SafetensorsFile } from "./safetensors.ts";
import { NUMBER_BYTES, type Tensor, type TensorFile } from "./tensor.ts";

/** The best format first. Either a single file, or the index of several. */
const WEIGHT_FILES = [
  { single: "model.safetensors", index: "model.safetensors.index.json", open: SafetensorsFile.open },
  { single: "pytorch_model.bin", index: "pytorch_model.bin.index.json", open: PytorchFile.open },
] as const;
/** Prefixes of tensor names, which wrappers and older programs add. */
const PREFIXES = /^(?:(?:module|model|transformer)\.)+/;
const EMBEDDING = "wte.weight";
const HEAD = "lm_head.weight";
const shardIndex = z.object({ weight_map: z.record(z.string(), z.string()) });

export class Checkpoint {
  readonly directory: string;
  readonly config: Gpt2Config;
  readonly #files: readonly TensorFile[];
  /** From the name without prefix to the file that has the tensor, and its full name there. */
  readonly #tensors = new Map<string, { file: TensorFile; name: string }>();

  private constructor(directory: string, files: readonly TensorFile[], config: Gpt2Config) {
    this.directory = directory;
    this.#files = files;
    for (const file of files) {
      for (const name of file.tensors.keys()) {
        const short = name.replace(PREFIXES, "");
        const other = this.#tensors.get(short);
        if (other !== undefined) {
          const message = `${file.path}: has the tensor ${name}, which ${other.file.path} has as ${other.name}`;
          throw new GptError("invalid_checkpoint", message);
        }
        this.#tensors.set(short, { file, name });
      }
    }
    this.#checkLayers(config);
    this.config = { ...config, tieWordEmbeddings: config.tieWordEmbeddings && this.#tie(config) };
  }

  /** @throws GptError `invalid_checkpoint`: one sentence that names the file and what was expected. */
  static open(directory: string): Checkpoint {
    const config = readConfig(directory);
    const files: TensorFile[] = [];
    try {
      const { names, open } = weightFiles(directory);
      for (const name of names) files.push(open(join(directory, name)));
      return new Checkpoint(directory, files, config);
    } catch (error) {
      for (const file of files) file.close();
      throw error;
    }
  }

  /** Refuses a checkpoint with fewer layers than config.json says, before memory is laid out for them. */
  #checkLayers({ nLayer }: Gpt2Config): void {
    if (nLayer === 0 || this.has(`h.${nLayer - 1}.ln_1.weight`)) return;
    const numbers = [...this.#tensors.keys()].map((name) => Number(/^h\.(\d+)\./.exec(name)?.[1] ?? -1));
    const numLayers = numbers.reduce((most, number) => Math.max(most, number), -1) + 1;
    const message = `${this.directory}: n_layer of config.json is ${nLayer}, and the weights have ${numLayers} layers`;
    throw new GptError("invalid_checkpoint", message);
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  tensor(name: string, shape: readonly number[]): Tensor {
    const found = this.#tensors.get(name);
    if (!found) {
      const where = this.#files.map((file) => file.path).join(", ");
      throw new GptError("invalid_checkpoint", `${where}: tensor ${name} of shape [${shape}] is missing`);
    }
    return found.file.tensor(found.name, shape);
  }

  /** Changes whenever a file changes. See `identityOf`. */
  identity(): string | undefined {
    return identityOf(this.#files, this.config);
  }

  /**
   * Whether the token embedding and the output head are one matrix. If one of them is missing, the other one is used for both. If
   * both are there and differ, they are two matrices, whatever config.json says. transformers does the same since release 5.
   */
  #tie({ vocabSize, nEmbd }: Gpt2Config): boolean {
    const head = this.#tensors.get(HEAD);
    if (!head) return true;
    if (!this.has(EMBEDDING)) {
      this.#tensors.set(EMBEDDING, head);
      return true;
    }
    const shape = [vocabSize, nEmbd] as const;
    return sameNumbers(this.tensor(EMBEDDING, shape), this.tensor(HEAD, shape), shape);
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}

/**
 * Reads config.json and generation_config.json. Does not open the weights.
 * @throws GptError `invalid_checkpoint`
 */
export function readConfig(directory: string): Gpt2Config {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new GptError("invalid_checkpoint", `${directory}: no such directory`);
  }
  const configFile = join(directory, "config.json");
  const generationFile = join(directory, "generation_config.json");
  return {
    ...parseGpt2Config(readJson(configFile), configFile),
    ...(existsSync(generationFile) ? parseGenerationConfig(readJson(generationFile), generationFile) : {}),
  };
}

/** Whether two matrices have the same type and the same bytes. Compares row by row, so neither is held in memory. */
function sameNumbers(a: Tensor, b: Tensor, [rows, width]: readonly [number, number]): boolean {
  if (a.dtype !== b.dtype) return false;
  const rowOfA = Buffer.alloc(NUMBER_BYTES[a.dtype] * width);
  const rowOfB = Buffer.alloc(rowOfA.length);
  for (let row = 0; row < rows; row++) {
    a.read(row * width, rowOfA);
    b.read(row * width, rowOfB);
    if (!rowOfA.equals(rowOfB)) return false;
  }
  return true;
}

/**
 * The names of a checkpoint's weight files. An index may name files that do not exist.
 * @throws GptError `invalid_checkpoint`
 */
export function weightFileNames(directory: string): readonly string[] {
  return weightFiles(directory).names;
}

interface WeightFiles {
  readonly names: readonly string[];
  readonly open: (path: string) => TensorFile;
}

function weightFiles(directory: string): WeightFiles {
  for (const { single, index, open } of WEIGHT_FILES) {
    if (existsSync(join(directory, single))) return { names: [single], open };
    const indexFile = join(directory, index);
    if (existsSync(indexFile)) return { names: namesIn(indexFile), open };
  }
  refuseTensorFlow(directory);
  const known = WEIGHT_FILES.flatMap(({ single, index }) => [single, index]).join(", ");
  throw new GptError("invalid_checkpoint", `${directory}: has none of ${known}`);
}

function namesIn(indexFile: string): string[] {
  const parsed = shardIndex.safeParse(readJson(indexFile));
  if (!parsed.success) {
    throw new GptError("invalid_checkpoint", `${indexFile}: has no weight_map of file names`);
  }
  const names = [...new Set(Object.values(parsed.data.weight_map))].sort();
  const outside = names.find(
    (name) => name.includes("\\") || isAbsolute(name) || name.split("/").includes(".."),
  );
  if (outside) {
    throw new GptError("invalid_checkpoint", `${indexFile}: names a file outside the directory: ${outside}`);
  }
  return names;
}

/** @throws GptError when the file is missing or cannot be used */
function readJson(file: string): unknown {
  const json = readJsonFile(file, { code: "invalid_checkpoint", bytesMax: JSON_BYTES_MAX });
  if (json !== undefined) return json;
  refuseTensorFlow(dirname(file));
  throw new GptError("invalid_checkpoint", `${file}: is missing; the directory ${contentsOf(dirname(file))}`);
}

/** @throws GptError when the directory is a TensorFlow checkpoint, as OpenAI released its models. */
function refuseTensorFlow(directory: string): void {
  const index = readdirSync(directory).find((name) => name.endsWith(".ckpt.index"));
  if (index === undefined) return;
  const weights = join(directory, index.replace(/\.index$/, ""));
  throw new GptError(
    "invalid_checkpoint",
    `${directory}: is a TensorFlow checkpoint; convert it once, with TensorFlow and transformers 4, and put its encoder.json ` +
      "and vocab.bpe beside the result: python -m transformers.models.gpt2.convert_gpt2_original_tf_checkpoint_to_pytorch " +
      `--gpt2_checkpoint_path ${weights} --gpt2_config_file ${join(directory, "hparams.json")} --pytorch_dump_folder_path my-gpt2`,
  );
}

/** The most names in a message. */
const NAMES_MAX = 8;

function contentsOf(directory: string): string {
  const names = readdirSync(directory).sort();
  if (names.length === 0) return "is empty";
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  return `holds ${names.slice(0, NAMES_MAX).join(", ")}${more}`;
}

/** An index of thousands of tensors has less than a hundredth of this. */
const JSON_BYTES_MAX = 2 ** 26;
