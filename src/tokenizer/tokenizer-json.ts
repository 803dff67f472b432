// Understands tokenizer.json, the one-file form that Hugging Face's `tokenizers` writes, as far as GPT-2's kind goes:
// a byte-level BPE model. Whatever would change ids and is not understood is refused, not skipped.
import {
  type BaseTokenizer,
  invalidTokenizer,
  isRecord,
  type JsonRecord,
  type MergeRule,
  parseAddedToken,
  parseMergeLine,
  parseVocab,
  quote,
} from "./tokenizer-parts.ts";

/** @throws GptError `invalid_tokenizer` naming the part of the file and what was expected. */
export function parseTokenizerJson(json: JsonRecord, file: string): BaseTokenizer {
  const { model } = json;
  if (!isRecord(model)) throw invalidTokenizer(file, "has no model; expected an object of type BPE");
  checkModel(model, file);
  checkNormalizer(json.normalizer, file);
  if (!isRecord(model.vocab)) throw invalidTokenizer(file, "has no model.vocab; expected an object");
  if (!Array.isArray(model.merges)) throw invalidTokenizer(file, "has no model.merges; expected an array");
  const addedTokens = json.added_tokens ?? [];
  if (!Array.isArray(addedTokens)) throw invalidTokenizer(file, "added_tokens is not an array");
  return {
    vocabFile: file,
    mergesFile: file,
    ...parseVocab(model.vocab, file),
    merges: parseMerges(model.merges, file),
    placeOf,
    addedTokens: addedTokens.map((token: unknown) =>
      parseAddedToken(token, isRecord(token) ? token.id : undefined, file),
    ),
    addPrefixSpace: byteLevelOf(json.pre_tokenizer, file).add_prefix_space === true,
    unknownToken: typeof model.unk_token === "string" ? model.unk_token : undefined,
    fuseUnknown: model.fuse_unk === true,
  };
}

function checkModel(model: JsonRecord, file: string): void {
  // Early files do not name the type; only a BPE model has merges.
  const type = model.type ?? (model.merges === undefined ? undefined : "BPE");
  if (type !== "BPE") {
    throw invalidTokenizer(
      file,
      `the model is of type ${quote(type)}; expected byte-level "BPE", as GPT-2 has`,
    );
  }
  for (const option of [
    "dropout",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "byte_fallback",
    "ignore_merges",
  ]) {
    if (model[option]) {
      throw invalidTokenizer(
        file,
        `model.${option} is ${quote(model[option])}, which GPT-2's BPE does not have`,
      );
    }
  }
}

function checkNormalizer(normalizer: unknown, file: string): void {
  if (normalizer === undefined || normalizer === null) return;
  if (isRecord(normalizer) && Array.isArray(normalizer.normalizers) && normalizer.normalizers.length === 0)
    return;
  const type = isRecord(normalizer) ? normalizer.type : normalizer;
  throw invalidTokenizer(file, `has a normalizer of type ${quote(type)}; expected none, as GPT-2 has`);
}

/** The byte-level pre-tokenizer, alone or as the only member of a sequence. */
function byteLevelOf(preTokenizer: unknown, file: string): JsonRecord {
  if (isRecord(preTokenizer)) {
    const { type, pretokenizers } = preTokenizer;
    if (type === "ByteLevel" && preTokenizer.use_regex !== false) return preTokenizer;
    if (type === "Sequence" && Array.isArray(pretokenizers) && pretokenizers.length === 1) {
      return byteLevelOf(pretokenizers[0], file);
    }
  }
  throw invalidTokenizer(
    file,
    `pre_tokenizer is ${quote(preTokenizer)}; expected type "ByteLevel" with its regex`,
  );
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
