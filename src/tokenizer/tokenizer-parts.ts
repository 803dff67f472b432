// Reads the parts that all tokenizer files share: vocabularies, merge rules and added tokens in JSON, and makes their errors. It
// reads no files and does not decide which file wins.
import { GptError } from "../errors.ts";
import { quote } from "../wording.ts";

/** Far above any vocabulary; guards the tables that are indexed by id. */
const ID_MAX = 2 ** 22 - 1;

export type JsonRecord = Readonly<Record<string, unknown>>;

/** The tokens of a model and the rules that merge them. The file names are for messages. */
export interface Vocabulary {
  readonly vocabFile: string;
  readonly mergesFile: string;
  readonly vocab: ReadonlyMap<string, number>;
  /** The same by id. */
  readonly tokens: readonly (string | undefined)[];
  /** In order of rank; parsed while they are read, once, so that tens of thousands of them need not exist at a time. */
  readonly merges: Iterable<MergeRule>;
  /** For messages: the place of a rule, such as "line 17" or "model.merges[15]". */
  readonly placeOf: (rule: MergeRule) => string;
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Left out by `decode` when special tokens are to be skipped. */
  readonly special: boolean;
  /** Takes the whitespace before it along. */
  readonly lstrip: boolean;
  /** Takes the whitespace after it along. */
  readonly rstrip: boolean;
  /** Does not match inside a longer word. */
  readonly singleWord: boolean;
  /** Matches after normalisation, of the text and of itself. */
  readonly normalized: boolean;
}

export interface MergeRule {
  readonly left: string;
  readonly right: string;
  /** Counts the lines or entries before it. */
  readonly index: number;
}

export function invalidTokenizer(file: string, problem: string, options?: ErrorOptions): GptError {
  return new GptError("invalid_tokenizer", `${file}: ${problem}.`, options);
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws GptError `invalid_tokenizer` when `value` is no token id. */
export function parseTokenId(value: unknown, token: string, file: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= ID_MAX) return value;
  throw invalidTokenizer(
    file,
    `the token ${quote(token)} has the id ${quote(value)}; expected an integer in 0…${ID_MAX}`,
  );
}

/** An object of token → id. */
export function parseVocab(json: JsonRecord, file: string): Pick<Vocabulary, "vocab" | "tokens"> {
  const vocab = new Map<string, number>();
  const tokens: (string | undefined)[] = [];
  for (const token of Object.keys(json)) {
    const id = parseTokenId(json[token], token, file);
    const owner = tokens[id];
    if (owner !== undefined) {
      throw invalidTokenizer(file, `the tokens ${quote(owner)} and ${quote(token)} have the same id ${id}`);
    }
    tokens[id] = token;
    vocab.set(token, id);
  }
  if (vocab.size === 0) throw invalidTokenizer(file, "holds no tokens; expected an object of token to id");
  return { vocab, tokens };
}

/** Two tokens separated by one space; undefined for any other line. */
export function parseMergeLine(line: string, index: number): MergeRule | undefined {
  const space = line.indexOf(" ");
  if (space <= 0 || space === line.length - 1 || line.indexOf(" ", space + 1) >= 0) return undefined;
  return { left: line.slice(0, space), right: line.slice(space + 1), index };
}

/**
 * An added token in the form of tokenizer.json and of `added_tokens_decoder`; absent flags are as in `tokenizers`.
 * Undefined for one without any text, which is never found in a text and which is written by some versions.
 */
export function parseAddedToken(json: unknown, id: unknown, file: string): AddedToken | undefined {
  if (!isRecord(json) || typeof json.content !== "string") {
    throw invalidTokenizer(file, `the added token ${quote(json)} has no content; expected a string`);
  }
  if (json.content === "") return undefined;
  const special = json.special === true;
  return {
    id: parseTokenId(id, json.content, file),
    content: json.content,
    special,
    lstrip: json.lstrip === true,
    rstrip: json.rstrip === true,
    singleWord: json.single_word === true,
    normalized: typeof json.normalized === "boolean" ? json.normalized : !special,
  };
}
