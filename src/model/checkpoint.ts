// A Hugging Face checkpoint directory: config.json, generation_config.json, and model.safetensors or its shards behind one
// `read(name, shape)`. Names are those of `GPT2LMHeadModel` without the `transformer.` prefix, which is stripped when
// present.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { GptError, messageOf } from "../errors.ts";
import { type Gpt2Config, parseGenerationConfig, parseGpt2Config } from "./gpt2-config.ts";
import { SafetensorsFile } from "./safetensors.ts";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const PREFIX = "transformer.";
const EMBEDDING = "wte.weight";
const HEAD = "lm_head.weight";
const shardIndex = z.object({ weight_map: z.record(z.string(), z.string()) });

export class Checkpoint {
  readonly directory: string;
  readonly config: Gpt2Config;
  readonly #files: readonly SafetensorsFile[];
  /** Name without prefix → the file that holds it and its full name there. */
  readonly #tensors = new Map<string, { file: SafetensorsFile; name: string }>();

  private constructor(directory: string, files: readonly SafetensorsFile[], config: Gpt2Config) {
    this.directory = directory;
    this.#files = files;
    for (const file of files) {
      for (const name of file.tensors.keys()) {
        const short = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
        this.#tensors.set(short, { file, name });
      }
    }
    this.config = { ...config, tieWordEmbeddings: config.tieWordEmbeddings && this.#tie(config) };
  }

  /** @throws GptError `invalid_checkpoint`: one sentence that names the file and what was expected. */
  static open(directory: string): Checkpoint {
    if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
      throw new GptError("invalid_checkpoint", `${directory}: no such directory`);
    }
    const configFile = join(directory, "config.json");
    const generationFile = join(directory, "generation_config.json");
    const config = {
      ...parseGpt2Config(readJson(configFile), configFile),
      ...(existsSync(generationFile) ? parseGenerationConfig(readJson(generationFile), generationFile) : {}),
    };
    const files: SafetensorsFile[] = [];
    try {
      for (const name of fileNames(directory)) files.push(SafetensorsFile.open(join(directory, name)));
      return new Checkpoint(directory, files, config);
    } catch (error) {
      for (const file of files) file.close();
      throw error;
    }
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Reads a tensor as f32, row-major. */
  read(name: string, shape: readonly number[]): Float32Array {
    const found = this.#tensors.get(name);
    if (!found) {
      const where = this.#files.map((file) => file.path).join(", ");
      throw new GptError("invalid_checkpoint", `${where}: tensor ${name} of shape [${shape}] is missing`);
    }
    return found.file.read(found.name, shape);
  }

  /**
   * Lets the token embedding and the output head stand for each other when one of them is missing. Both, with different
   * values, are two tensors whatever config.json says; true unless they are. So does transformers since release 5.
   */
  #tie({ vocabSize, nEmbd }: Gpt2Config): boolean {
    const head = this.#tensors.get(HEAD);
    if (!head) return true;
    if (!this.has(EMBEDDING)) {
      this.#tensors.set(EMBEDDING, head);
      return true;
    }
    const embedding = this.read(EMBEDDING, [vocabSize, nEmbd]);
    return this.read(HEAD, [vocabSize, nEmbd]).every((value, i) => value === embedding[i]);
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}

function fileNames(directory: string): string[] {
  if (existsSync(join(directory, SINGLE))) return [SINGLE];
  const indexFile = join(directory, INDEX);
  if (existsSync(indexFile)) {
    const parsed = shardIndex.safeParse(readJson(indexFile));
    if (!parsed.success)
      throw new GptError("invalid_checkpoint", `${indexFile}: has no weight_map of file names`);
    const names = [...new Set(Object.values(parsed.data.weight_map))].sort();
    const outside = names.find((name) => name.includes("/") || name.includes("\\"));
    if (outside)
      throw new GptError(
        "invalid_checkpoint",
        `${indexFile}: names a file outside the directory: ${outside}`,
      );
    return names;
  }
  const pickle = existsSync(join(directory, "pytorch_model.bin"));
  const hint = pickle
    ? "; pytorch_model.bin is a Python pickle, which is not read: save it as safetensors"
    : "";
  throw new GptError("invalid_checkpoint", `${directory}: has neither ${SINGLE} nor ${INDEX}${hint}`);
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new GptError("invalid_checkpoint", `${file}: cannot be read (${messageOf(error)})`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GptError("invalid_checkpoint", `${file}: is not JSON (${messageOf(error)})`);
  }
}
