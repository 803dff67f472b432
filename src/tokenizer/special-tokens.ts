// Collects a checkpoint's added tokens from all files that may name them, and decides which are special and which begin and end
// a text. If files disagree, it follows `transformers`: with `added_tokens_decoder` in tokenizer_config.json, the older files
// special_tokens_map.json and added_tokens.json are not read; without it they take precedence over tokenizer_config.json.

import { quote } from "../wording.ts";
import {
  type AddedToken,
  invalidTokenizer,
  isRecord,
  type JsonRecord,
  parseAddedToken,
  type Vocabulary,
} from "./tokenizer-parts.ts";

const END_OF_TEXT = "<|endoftext|>";
/** GPT-2's tokenizer has these three by default; null in a file means that there is none. */
const GPT2_ROLES: JsonRecord = { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT };

/** The files beside the vocabulary, parsed; undefined when a file is absent. */
export interface SideFiles {
  readonly config: JsonRecord | undefined; // tokenizer_config.json
  readonly specialTokensMap: JsonRecord | undefined;
  readonly addedTokens: JsonRecord | undefined;
  /** The model's own config.json. */
  readonly model: JsonRecord | undefined;
}

export const SIDE_FILE_NAMES = {
  config: "tokenizer_config.json",
  specialTokensMap: "special_tokens_map.json",
  addedTokens: "added_tokens.json",
  model: "config.json",
} as const;

export interface SpecialTokens {
  readonly addedTokens: readonly AddedToken[];
  /** The tokens that begin and end a text, where there are any. */
  readonly startId: number | undefined;
  readonly endId: number | undefined;
}

export interface CollectOptions {
  readonly directory: string;
  /** Of tokenizer.json. */
  readonly addedTokens: readonly AddedToken[];
  /** GPT-2's tokenizer has special tokens that no file needs to name; and its files replace those of tokenizer.json. */
  readonly isGpt2: boolean;
}

/** @throws GptError `invalid_tokenizer` when files contradict each other. */
export function collectSpecialTokens(
  vocabulary: Vocabulary,
  side: SideFiles,
  { directory, addedTokens, isGpt2 }: CollectOptions,
): SpecialTokens {
  const { config = {}, specialTokensMap = {}, model } = side;
  const configFile = `${directory}/${SIDE_FILE_NAMES.config}`;
  const decoder = config.added_tokens_decoder;
  const isOld = decoder === undefined;
  const registry = new Registry(vocabulary);
  if (isOld || !isGpt2) for (const token of addedTokens) registry.add(token, vocabulary.vocabFile);
  if (isOld) {
    const file = `${directory}/${SIDE_FILE_NAMES.addedTokens}`;
    for (const [content, id] of Object.entries(side.addedTokens ?? {})) {
      registry.add(parseAddedToken({ content }, id, file), file);
    }
  } else {
    if (!isRecord(decoder)) throw invalidTokenizer(configFile, "added_tokens_decoder is not an object");
    for (const [id, token] of Object.entries(decoder)) {
      registry.add(parseAddedToken(token, /^\d+$/.test(id) ? Number(id) : id, configFile), configFile);
    }
  }
  const roles: JsonRecord = { ...(isGpt2 && GPT2_ROLES), ...config, ...(isOld && specialTokensMap) };
  const modelSize = model?.vocab_size;
  for (const token of specialTokensOf(roles)) {
    registry.addSpecial(token, configFile, typeof modelSize === "number" ? modelSize : 0);
  }
  const idOf = (role: string): number | undefined => registry.idOf(contentOf(roles[role]));
  return { addedTokens: registry.tokens(), startId: idOf("bos_token"), endId: idOf("eos_token") };
}

const ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/** All tokens that have a role, in the order in which they get an id where they have none. */
function specialTokensOf(roles: JsonRecord): readonly unknown[] {
  // Any other field with such a name is a role too, unless it is a boolean.
  const others = Object.keys(roles).filter((name) => name.endsWith("_token") && !ROLES.includes(name));
  const lists = ["additional_special_tokens", "extra_special_tokens"].map((name) => roles[name]);
  return [
    ...[...ROLES, ...others].map((name) => roles[name]),
    // A list, or an object of names to tokens.
    ...lists.flatMap((list) => (typeof list === "object" && list !== null ? Object.values(list) : [])),
  ];
}

class Registry {
  readonly #vocabulary: Vocabulary;
  readonly #contentById = new Map<number, string>(); // added tokens only
  readonly #tokens = new Map<string, AddedToken>();
  #nextId: number;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#nextId = vocabulary.tokens.length;
  }

  add(token: AddedToken | undefined, file: string): void {
    if (token === undefined) return;
    const { content, id } = token;
    const knownId = this.idOf(content);
    if (knownId !== undefined && knownId !== id) {
      throw invalidTokenizer(
        file,
        `the token ${quote(content)} has the id ${id}, but elsewhere it has ${knownId}`,
      );
    }
    const owner = this.#contentById.get(id) ?? this.#vocabulary.tokens[id];
    if (owner !== undefined && owner !== content) {
      throw invalidTokenizer(
        file,
        `the token ${quote(content)} has the id ${id}, which ${quote(owner)} has already`,
      );
    }
    this.#contentById.set(id, content);
    this.#nextId = Math.max(this.#nextId, id + 1);
    this.#tokens.set(content, token);
  }

  /**
   * A token by its content, or an object with content and flags. The flags of a known added token stay as they are. One
   * without an id gets the next one, if the model has a row for it among its `modelSize`.
   */
  addSpecial(json: unknown, file: string, modelSize: number): void {
    const content = contentOf(json);
    if (content === undefined) return;
    const id = this.idOf(content) ?? this.#nextId;
    if (this.idOf(content) === undefined && id >= modelSize) return;
    const flags = isRecord(json) ? json : {};
    const token =
      this.#tokens.get(content) ?? parseAddedToken({ ...flags, content, special: true }, id, file)!;
    this.add({ ...token, special: true }, file);
  }

  idOf(content: string | undefined): number | undefined {
    if (content === undefined) return undefined;
    return this.#tokens.get(content)?.id ?? this.#vocabulary.vocab.get(content);
  }

  tokens(): AddedToken[] {
    return [...this.#tokens.values()];
  }
}

function contentOf(json: unknown): string | undefined {
  const content = isRecord(json) ? json.content : json;
  return typeof content === "string" && content !== "" ? content : undefined;
}
