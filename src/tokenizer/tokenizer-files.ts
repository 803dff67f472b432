// Reads a tokenizer from a checkpoint directory: tokenizer.json, or vocab.json with merges.txt, or the same two under
// OpenAI's names, and the optional files beside them. It reads byte-level BPE only and says what else it was given.
// Post-processors and chat templates are not applied: GPT-2 puts no tokens around a text.
import { existsSync, promises as fs } from "node:fs";
import { messageOf } from "../errors.ts";
import { type BpeModel, MERGES_MAX } from "./bpe.ts";
import { BYTE_TO_CHAR, isByteLevelToken } from "./byte-map.ts";
import { collectAddedTokens, SIDE_FILE_NAMES, type SideFiles } from "./special-tokens.ts";
import { Tokenizer } from "./tokenizer.ts";
import { parseTokenizerJson } from "./tokenizer-json.ts";
import {
  type BaseTokenizer,
  invalidTokenizer,
  isRecord,
  type JsonRecord,
  type MergeRule,
  parseMergeLine,
  parseVocab,
  quote,
} from "./tokenizer-parts.ts";

const TOKENIZER_FILE = "tokenizer.json";
/** The second pair has the names of OpenAI's release. */
const FILE_PAIRS = [
  { vocab: "vocab.json", merges: "merges.txt" },
  { vocab: "encoder.json", merges: "vocab.bpe" },
] as const;

/** Whether a directory has any file of a tokenizer; a checkpoint without one takes and gives token ids only. */
export function hasTokenizerFiles(directory: string): boolean {
  const names = [TOKENIZER_FILE, ...FILE_PAIRS.flatMap(({ vocab, merges }) => [vocab, merges])];
  return names.some((name) => existsSync(`${directory}/${name}`));
}

/**
 * The tokenizer of a checkpoint directory.
 * @throws GptError `invalid_tokenizer`: one sentence that names the file and what was expected.
 */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const base = await readBase(directory);
  const side: SideFiles = {
    config: await readJson(`${directory}/${SIDE_FILE_NAMES.config}`),
    specialTokensMap: await readJson(`${directory}/${SIDE_FILE_NAMES.specialTokensMap}`),
    addedTokens: await readJson(`${directory}/${SIDE_FILE_NAMES.addedTokens}`),
  };
  const addPrefixSpace = side.config?.add_prefix_space;
  return new Tokenizer({
    vocab: base.vocab,
    bpe: toBpeModel(base),
    ...collectAddedTokens(base, side, directory),
    addPrefixSpace: typeof addPrefixSpace === "boolean" ? addPrefixSpace : base.addPrefixSpace,
  });
}

async function readBase(directory: string): Promise<BaseTokenizer> {
  const tokenizerFile = `${directory}/${TOKENIZER_FILE}`;
  const json = await readJson(tokenizerFile);
  if (json) return parseTokenizerJson(json, tokenizerFile);
  for (const { vocab, merges } of FILE_PAIRS) {
    const vocabFile = `${directory}/${vocab}`;
    const mergesFile = `${directory}/${merges}`;
    const tokens = await readJson(vocabFile);
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
      addedTokens: [],
      addPrefixSpace: false,
      unknownToken: undefined,
      fuseUnknown: false,
    };
  }
  const pairs = FILE_PAIRS.map(({ vocab, merges }) => `${vocab} and ${merges}`);
  throw invalidTokenizer(
    directory,
    `holds no tokenizer; expected ${TOKENIZER_FILE}, or ${pairs.join(", or ")}`,
  );
}

/** merges.txt: an optional line with a version, then a rule a line in order of rank. */
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

function toBpeModel(base: BaseTokenizer): BpeModel {
  const { vocab, vocabFile, mergesFile } = base;
  const idOf = (token: string, rule: MergeRule): number => {
    const id = vocab.get(token);
    if (id !== undefined) return id;
    const needs = `${base.placeOf(rule)} needs the token ${quote(token)}`;
    throw invalidTokenizer(mergesFile, `${needs}, which ${vocabFile} lacks`);
  };
  const merges = Array.from(base.merges, (rule) => {
    const { left, right } = rule;
    const merged = left + right;
    if (!isByteLevelToken(merged)) {
      throw invalidTokenizer(
        mergesFile,
        `${base.placeOf(rule)} makes ${quote(merged)}; expected byte-level BPE, written in GPT-2's byte characters`,
      );
    }
    return { left: idOf(left, rule), right: idOf(right, rule), merged: idOf(merged, rule) };
  });
  // A file cut off between two lines is well-formed, but would turn text into far too many tokens.
  const expected = vocab.size - BYTE_TO_CHAR.length;
  if (merges.length < expected / 2 || merges.length > MERGES_MAX) {
    throw invalidTokenizer(
      mergesFile,
      `has ${merges.length} merges for the ${vocab.size} tokens of ${vocabFile}; expected about ${expected}`,
    );
  }
  return {
    byteIds: BYTE_TO_CHAR.map((char) => vocab.get(char)),
    merges,
    unknownId: base.unknownToken === undefined ? undefined : vocab.get(base.unknownToken),
    fuseUnknown: base.fuseUnknown,
  };
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
async function readJson(file: string): Promise<JsonRecord | undefined> {
  const text = await readText(file);
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalidTokenizer(file, `is not JSON (${messageOf(error)}); the file may be cut off`, {
      cause: error,
    });
  }
  if (!isRecord(json)) throw invalidTokenizer(file, `is ${quote(json)}; expected a JSON object`);
  return json;
}
