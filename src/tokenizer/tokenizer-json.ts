// Reads tokenizer.json, the one-file form of Hugging Face's `tokenizers`, for models of byte-pair encoding. Parts that would change
// ids and are not understood are refused, not skipped. Which parts count depends on the class in tokenizer_config.json; see
// tokenizer-class.ts.
import { quote } from "../wording.ts";
import type { BpeModel } from "./bpe.ts";
import { JsonPart } from "./json-part.ts";
import {
  type AddedToken,
  invalidTokenizer,
  isRecord,
  type JsonRecord,
  type MergeRule,
  parseAddedToken,
  parseMergeLine,
  parseVocab,
  type Vocabulary,
} from "./tokenizer-parts.ts";

/** The options of a model of byte-pair encoding. */
export interface BpeOptions
  extends Pick<BpeModel, "continuingPrefix" | "byteFallback" | "ignoreMerges" | "fuseUnknown"> {
  readonly unknownToken: string | undefined;
}

/** @throws GptError `invalid_tokenizer` naming the part of the file and what was expected. */
export function parseVocabulary(json: JsonRecord, file: string): Vocabulary {
  const { model } = json;
  if (!isRecord(model)) throw invalidTokenizer(file, "has no model; expected an object of type BPE");
  // Early files do not name the type; only a BPE model has merges.
  const type = model.type ?? (model.merges === undefined ? undefined : "BPE");
  if (type !== "BPE") {
    throw invalidTokenizer(file, `the model is of type ${quote(type)}; expected "BPE", as GPT-2 has`);
  }
  if (!isRecord(model.vocab)) throw invalidTokenizer(file, "has no model.vocab; expected an object");
  if (!Array.isArray(model.merges)) throw invalidTokenizer(file, "has no model.merges; expected an array");
  return {
    vocabFile: file,
    mergesFile: file,
    ...parseVocab(model.vocab, file),
    merges: parseMerges(model.merges, file),
    placeOf,
  };
}

/** @throws GptError `invalid_tokenizer` for an option that is not known here. */
export function parseBpeOptions(json: JsonRecord, file: string): BpeOptions {
  const model = new JsonPart(file, "model", json.model);
  // With dropout, merges are skipped at random. That is for training.
  for (const option of ["dropout", "end_of_word_suffix"]) {
    const part = model.part(option);
    if (part.value) throw part.invalid("none, as GPT-2 has");
  }
  const text = (name: string): string | undefined =>
    model.part(name).isAbsent ? undefined : model.text(name) || undefined;
  const continuingPrefix = text("continuing_subword_prefix");
  return {
    ...(continuingPrefix === undefined ? {} : { continuingPrefix }),
    byteFallback: model.flag("byte_fallback", false),
    ignoreMerges: model.flag("ignore_merges", false),
    fuseUnknown: model.flag("fuse_unk", false),
    unknownToken: text("unk_token"),
  };
}

/** @throws GptError `invalid_tokenizer` naming the token. */
export function parseAddedTokens(json: JsonRecord, file: string): AddedToken[] {
  const tokens = json.added_tokens ?? [];
  if (!Array.isArray(tokens)) throw invalidTokenizer(file, "added_tokens is not an array");
  const parsed = tokens.map((token: unknown) =>
    parseAddedToken(token, isRecord(token) ? token.id : undefined, file),
  );
  return parsed.filter((token) => token !== undefined);
}

function* parseMerges(rules: readonly unknown[], file: string): Generator<MergeRule> {
  for (const [index, rule] of rules.entries()) yield parseMerge(rule, index, file);
}

/** A rule is "left right" or, in newer files, ["left", "right"]. */
function parseMerge(rule: unknown, index: number, file: string): MergeRule {
  if (typeof rule === "string") {
    const parsed = parseMergeLine(rule, index);
    if (parsed) return parsed;
  }
  if (Array.isArray(rule) && rule.length === 2) {
    const [left, right] = rule as unknown[];
    if (typeof left === "string" && typeof right === "string") return { left, right, index };
  }
  throw invalidTokenizer(file, `${placeOf({ index })} is ${quote(rule)}; expected two tokens`);
}

function placeOf({ index }: Pick<MergeRule, "index">): string {
  return `model.merges[${index}]`;
}
