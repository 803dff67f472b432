// Reads a tokenizer from a checkpoint directory: tokenizer.json, or vocab.json with merges.txt, or these two under OpenAI's names,
// and the optional files beside them. It reads byte-pair encoding only, and names any other kind in its error. Chat templates
// are ignored.
import { existsSync, promises as fs } from "node:fs";
import { messageOf } from "../errors.ts";
import { readJsonFile } from "../files/json-file.ts";
import { quote } from "../wording.ts";
import type { BpeModel } from "./bpe.ts";
import { BYTE_TO_CHAR } from "./byte-map.ts";
import { JsonPart } from "./json-part.ts";
import { readMerges } from "./merges.ts";
import { putAround, readPostProcessor } from "./post-processors.ts";
import { collectSpecialTokens, SIDE_FILE_NAMES, type SideFiles } from "./special-tokens.ts";
import { Tokenizer } from "./tokenizer.ts";
import { gpt2Stages, isGpt2Class, stagesOf } from "./tokenizer-class.ts";
import { parseAddedTokens, parseVocabulary } from "./tokenizer-json.ts";
import {
  invalidTokenizer,
  isRecord,
  type JsonRecord,
  type MergeRule,
  parseMergeLine,
  parseVocab,
  type Vocabulary,
} from "./tokenizer-parts.ts";

const TOKENIZER_FILE = "tokenizer.json";
/** The second pair of names is that of OpenAI's release. */
const FILE_PAIRS = [
  { vocab: "vocab.json", merges: "merges.txt" },
  { vocab: "encoder.json", merges: "vocab.bpe" },
] as const;

/** Whether a directory has tokenizer files. Without them a checkpoint works with token ids only. */
export function hasTokenizerFiles(directory: string): boolean {
  const names = [TOKENIZER_FILE, ...FILE_PAIRS.flatMap(({ vocab, merges }) => [vocab, merges])];
  return names.some((name) => existsSync(`${directory}/${name}`));
}

/**
 * The tokenizer of a checkpoint directory.
 * @throws GptError `invalid_tokenizer`: one sentence that names the file and what was expected.
 */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const file = `${directory}/${TOKENIZER_FILE}`;
  const json = readJson(file);
  const vocabulary = json ? parseVocabulary(json, file) : await readFilePair(directory);
  const side: SideFiles = {
    config: readJson(`${directory}/${SIDE_FILE_NAMES.config}`),
    specialTokensMap: readJson(`${directory}/${SIDE_FILE_NAMES.specialTokensMap}`),
    addedTokens: readJson(`${directory}/${SIDE_FILE_NAMES.addedTokens}`),
    model: readJson(`${directory}/${SIDE_FILE_NAMES.model}`),
  };
  const isGpt2 = isGpt2Class(side, directory, json !== undefined);
  const { addedTokens, startId, endId } = collectSpecialTokens(vocabulary, side, {
    directory,
    addedTokens: json ? parseAddedTokens(json, file) : [],
    isGpt2,
  });
  const { preTokenizer, model, ...stages } =
    json && !isGpt2 ? stagesOf(json, file) : gpt2Stages(side.config?.add_prefix_space === true);
  const { isByteLevel } = preTokenizer;
  const { continuingPrefix } = model;
  const merges = readMerges(vocabulary, { isByteLevel, continuingPrefix, addedTokens });
  const bpe: BpeModel = { ...model, vocab: vocabulary.vocab, isByteLevel, merges };
  return new Tokenizer({
    bpe: { ...bpe, unknownId: unknownIdOf(model.unknownToken, bpe, file) },
    addedTokens,
    preTokenizer,
    ...stages,
    postProcessor: json
      ? readPostProcessor(new JsonPart(file, "post_processor", json.post_processor))
      : putAround(
          side.config?.add_bos_token === true ? startId : undefined,
          side.config?.add_eos_token === true ? endId : undefined,
        ),
    splitSpecialTokens: side.config?.split_special_tokens === true,
    endOfTextId: endId,
  });
}

/** merges.txt: an optional version line, then one rule per line in order of rank. */
function* parseMerges(text: string, file: string): Generator<MergeRule> {
  for (let index = 0, start = 0; start < text.length; index++) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, text[end - 1] === "\r" ? end - 1 : end);
    start = end + 1;
    if (line === "" || (index === 0 && line.startsWith("#version"))) continue;
    const rule = parseMergeLine(line, index);
    if (rule) yield rule;
    else
      throw invalidTokenizer(
        file,
        `${lineOf({ index })} is ${quote(line)}; expected two tokens and one space`,
      );
  }
}

function lineOf({ index }: Pick<MergeRule, "index">): string {
  return `line ${index + 1}`;
}

/** @throws GptError if text may need the unknown token and it has no id */
function unknownIdOf(
  token: string | undefined,
  { vocab, isByteLevel }: BpeModel,
  file: string,
): number | undefined {
  if (token === undefined) return undefined;
  const id = vocab.get(token);
  const isNeeded = !isByteLevel || BYTE_TO_CHAR.some((char) => !vocab.has(char));
  if (id !== undefined || !isNeeded) return id;
  throw invalidTokenizer(file, `model.unk_token is ${quote(token)}, which the vocabulary lacks`);
}

/** vocab.json and merges.txt, or the same under OpenAI's names. */
async function readFilePair(directory: string): Promise<Vocabulary> {
  for (const { vocab, merges } of FILE_PAIRS) {
    const vocabFile = `${directory}/${vocab}`;
    const mergesFile = `${directory}/${merges}`;
    const tokens = readJson(vocabFile);
    const rules = await readText(mergesFile);
    if (tokens === undefined && rules === undefined) continue;
    if (tokens === undefined) throw invalidTokenizer(vocabFile, `is missing; expected it beside ${merges}`);
    if (rules === undefined) throw invalidTokenizer(mergesFile, `is missing; expected it beside ${vocab}`);
    return {
      vocabFile,
      mergesFile,
      ...parseVocab(tokens, vocabFile),
      merges: parseMerges(rules, mergesFile),
      placeOf: lineOf,
    };
  }
  const pairs = FILE_PAIRS.map(({ vocab, merges }) => `${vocab} and ${merges}`);
  throw invalidTokenizer(
    directory,
    `holds no tokenizer; expected ${TOKENIZER_FILE}, or ${pairs.join(", or ")}`,
  );
}

/** Undefined when there is no such file. */
async function readText(file: string): Promise<string | undefined> {
  try {
    return await fs.readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw invalidTokenizer(file, `cannot be read (${messageOf(error)})`, { cause: error });
  }
}

/** Undefined when there is no such file. */
function readJson(file: string): JsonRecord | undefined {
  const json = readJsonFile(file, { code: "invalid_tokenizer" });
  if (json === undefined || isRecord(json)) return json;
  throw invalidTokenizer(file, `is ${quote(json)}; expected a JSON object`);
}
