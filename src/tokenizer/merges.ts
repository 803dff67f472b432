// Reads the merges of a vocabulary as ids in order of rank, and checks that none is missing.
import { quote } from "../wording.ts";
import { MERGES_MAX, type Merge } from "./bpe.ts";
import { isByteLevelToken } from "./byte-map.ts";
import { type AddedToken, invalidTokenizer, type MergeRule, type Vocabulary } from "./tokenizer-parts.ts";

export interface MergeOptions {
  readonly isByteLevel: boolean;
  /** Stands before every token that does not begin a piece, and is left out where two become one. */
  readonly continuingPrefix?: string | undefined;
  readonly addedTokens: readonly AddedToken[];
}

/** @throws GptError `invalid_tokenizer` naming the rule and what was expected. */
export function readMerges(vocabulary: Vocabulary, options: MergeOptions): Merge[] {
  const { vocab, vocabFile, mergesFile, placeOf } = vocabulary;
  const { isByteLevel, continuingPrefix = "" } = options;
  const idOf = (token: string, rule: MergeRule): number => {
    const id = vocab.get(token);
    if (id !== undefined) return id;
    const needs = `${placeOf(rule)} needs the token ${quote(token)}`;
    throw invalidTokenizer(mergesFile, `${needs}, which ${vocabFile} lacks`);
  };
  const merges = Array.from(vocabulary.merges, (rule) => {
    const { left, right } = rule;
    const merged = left + (right.startsWith(continuingPrefix) ? right.slice(continuingPrefix.length) : right);
    if (isByteLevel && !isByteLevelToken(merged)) {
      throw invalidTokenizer(
        mergesFile,
        `${placeOf(rule)} makes ${quote(merged)}; expected byte-level BPE, written in GPT-2's byte characters`,
      );
    }
    return { left: idOf(left, rule), right: idOf(right, rule), merged: idOf(merged, rule) };
  });
  checkNumber(merges, vocabulary, options.addedTokens);
  return merges;
}

/** A file cut off between two lines is well-formed, but would turn text into far too many tokens. */
function checkNumber(
  merges: readonly Merge[],
  vocabulary: Vocabulary,
  addedTokens: readonly AddedToken[],
): void {
  const { vocab, vocabFile, mergesFile } = vocabulary;
  const known = new Set([...merges.map(({ merged }) => merged), ...addedTokens.map(({ id }) => id)]);
  let missing = 0;
  for (const [token, id] of vocab) if (!known.has(id) && isMadeOfTwo(token, vocab)) missing++;
  if (missing <= merges.length && merges.length <= MERGES_MAX) return;
  throw invalidTokenizer(
    mergesFile,
    `has ${merges.length} merges for the ${vocab.size} tokens of ${vocabFile}; expected about ${merges.length + missing}`,
  );
}

/** Longer tokens are rare, and hardly any of them comes from a merge. */
const LENGTH_MAX = 256;

/** Whether two tokens join to this one; then its merge is missing. Special tokens come from no merge. */
function isMadeOfTwo(token: string, vocab: ReadonlyMap<string, number>): boolean {
  for (let at = 1; at < token.length && token.length <= LENGTH_MAX; at++) {
    if (vocab.has(token.slice(0, at)) && vocab.has(token.slice(at))) return true;
  }
  return false;
}
