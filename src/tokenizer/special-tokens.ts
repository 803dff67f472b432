// Gathers the added tokens of a checkpoint from all files that may name them, and says which are special. Later files
// win: tokenizer.json, added_tokens.json, then `added_tokens_decoder` of tokenizer_config.json. Tokens without an id in any
// file are left out: the model has no row for them.
import type { AddedToken } from "./added-tokens.ts";
import {
  type BaseTokenizer,
  invalidTokenizer,
  isRecord,
  type JsonRecord,
  parseAddedToken,
  quote,
} from "./tokenizer-parts.ts";

const END_OF_TEXT = "<|endoftext|>";
const ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/** The files beside the vocabulary, parsed; undefined when a file is absent. */
export interface SideFiles {
  readonly config: JsonRecord | undefined; // tokenizer_config.json
  readonly specialTokensMap: JsonRecord | undefined;
  readonly addedTokens: JsonRecord | undefined;
}

export const SIDE_FILE_NAMES = {
  config: "tokenizer_config.json",
  specialTokensMap: "special_tokens_map.json",
  addedTokens: "added_tokens.json",
} as const;

/** @throws GptError `invalid_tokenizer` when files contradict each other. */
export function collectAddedTokens(
  base: BaseTokenizer,
  side: SideFiles,
  directory: string,
): { addedTokens: AddedToken[]; endOfTextId: number | undefined } {
  const registry = new Registry(base);
  for (const token of base.addedTokens) registry.add(token, base.vocabFile);

  const addedTokensFile = `${directory}/${SIDE_FILE_NAMES.addedTokens}`;
  for (const [content, id] of Object.entries(side.addedTokens ?? {})) {
    registry.add(parseAddedToken({ content }, id, addedTokensFile), addedTokensFile);
  }

  const configFile = `${directory}/${SIDE_FILE_NAMES.config}`;
  const decoder = side.config?.added_tokens_decoder ?? {};
  if (!isRecord(decoder)) throw invalidTokenizer(configFile, "added_tokens_decoder is not an object");
  for (const [id, token] of Object.entries(decoder)) {
    registry.add(parseAddedToken(token, /^\d+$/.test(id) ? Number(id) : id, configFile), configFile);
  }

  // GPT-2's tokenizer has these three by default; null in a file means that there is none.
  const defaults = { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT };
  const roles: JsonRecord = { ...defaults, ...side.specialTokensMap, ...side.config };
  for (const role of ROLES) registry.addSpecial(roles[role], configFile);
  for (const list of ["additional_special_tokens", "extra_special_tokens"]) {
    const tokens = roles[list]; // A list, or an object of names to tokens.
    if (typeof tokens !== "object" || tokens === null) continue;
    for (const token of Object.values(tokens)) registry.addSpecial(token, configFile);
  }
  return { addedTokens: registry.tokens(), endOfTextId: registry.idOf(contentOf(roles.eos_token)) };
}

class Registry {
  readonly #base: BaseTokenizer;
  readonly #contentById = new Map<number, string>(); // of added tokens
  readonly #tokens = new Map<string, AddedToken>();

  constructor(base: BaseTokenizer) {
    this.#base = base;
  }

  add(token: AddedToken, file: string): void {
    const { content, id } = token;
    const knownId = this.idOf(content);
    if (knownId !== undefined && knownId !== id) {
      throw invalidTokenizer(
        file,
        `the token ${quote(content)} has the id ${id}, but elsewhere it has ${knownId}`,
      );
    }
    const owner = this.#contentById.get(id) ?? this.#base.tokens[id];
    if (owner !== undefined && owner !== content) {
      throw invalidTokenizer(
        file,
        `the token ${quote(content)} has the id ${id}, which ${quote(owner)} has already`,
      );
    }
    this.#contentById.set(id, content);
    this.#tokens.set(content, token);
  }

  /** A token by its content, or an object with content and flags. The flags of a known added token stay as they are. */
  addSpecial(json: unknown, file: string): void {
    const content = contentOf(json);
    const id = this.idOf(content);
    if (content === undefined || id === undefined) return;
    const flags = isRecord(json) ? json : {};
    const token =
      this.#tokens.get(content) ?? parseAddedToken({ ...flags, content, special: true }, id, file);
    this.add({ ...token, special: true }, file);
  }

  idOf(content: string | undefined): number | undefined {
    if (content === undefined) return undefined;
    return this.#tokens.get(content)?.id ?? this.#base.vocab.get(content);
  }

  tokens(): AddedToken[] {
    return [...this.#tokens.values()];
  }
}

function contentOf(json: unknown): string | undefined {
  const content = isRecord(json) ? json.content : json;
  return typeof content === "string" && content !== "" ? content : undefined;
}
