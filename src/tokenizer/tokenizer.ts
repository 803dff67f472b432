// GPT-2's byte-level BPE tokenizer: text to token ids and back, for any vocabulary of that form. It is not a loader
// (tokenizer-files.ts) and holds no state of a sequence (detokenizer.ts). The pieces are those of GPT-2's encoder, with
// `\s` spelled out: JavaScript's own `\s` includes U+FEFF and lacks U+0085, unlike Python's and Rust's.
import { type AddedToken, AddedTokens } from "./added-tokens.ts";
import { Bpe, type BpeModel } from "./bpe.ts";
import { bytesOfToken } from "./byte-map.ts";

const PIECES =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
/** With the `u` flag only surrogates without their other half match. */
const LONE_SURROGATES = /\p{Surrogate}/gu;
const utf8 = new TextEncoder();

/** Everything that distinguishes one checkpoint's tokenizer from another's. */
export interface TokenizerDefinition {
  /** Tokens in the characters of the byte table → ids. */
  readonly vocab: ReadonlyMap<string, number>;
  readonly bpe: BpeModel;
  readonly addedTokens: readonly AddedToken[];
  /** Text that does not start with a space gets one. GPT-2 does not. */
  readonly addPrefixSpace: boolean;
  readonly endOfTextId: number | undefined;
}

export interface DecodeOptions {
  /** Leave special tokens such as "<|endoftext|>" out of the text. */
  readonly skipSpecialTokens?: boolean;
}

export class Tokenizer {
  /** One more than the highest id. */
  readonly vocabSize: number;
  /** The token that ends a text, and starts one from nothing; undefined when the checkpoint names none. */
  readonly endOfTextId: number | undefined;
  /** No token stands for more bytes of a text than its own. */
  readonly #hasLengths: boolean;
  /** Bytes of the longest token that begins with a byte, found when it is first asked for. */
  #longest: readonly number[] | undefined; // [256]
  readonly #bpe: Bpe;
  readonly #addedTokens: AddedTokens;
  readonly #addPrefixSpace: boolean;
  readonly #tokens: (string | undefined)[] = []; // of the vocabulary, by id
  readonly #bytes: (Uint8Array | undefined)[] = []; // by id, made when they are first asked for
  readonly #specialIds: ReadonlySet<number>;

  constructor(definition: TokenizerDefinition) {
    const { vocab, bpe, addedTokens, addPrefixSpace, endOfTextId } = definition;
    for (const [token, id] of vocab) this.#tokens[id] = token;
    for (const { content, id } of addedTokens) this.#bytes[id] = utf8.encode(content); // Plain text, not byte table.
    this.vocabSize = Math.max(this.#tokens.length, this.#bytes.length);
    // Tokens that take in spaces beside them, or bytes that have no token, have no length of their own.
    const strips = addedTokens.some(({ lstrip, rstrip }) => lstrip || rstrip);
    this.#hasLengths = !strips && !bpe.byteIds.includes(undefined);
    this.#bpe = new Bpe(bpe);
    this.#addedTokens = new AddedTokens(addedTokens);
    this.#addPrefixSpace = addPrefixSpace;
    this.endOfTextId = endOfTextId;
    this.#specialIds = new Set(addedTokens.filter(({ special }) => special).map(({ id }) => id));
  }

  /**
   * The token ids of a text. Added tokens written out in it, such as "<|endoftext|>", become their ids; nothing is put
   * before or after. A surrogate without its other half is encoded as U+FFFD.
   */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (const part of this.#addedTokens.split(text.replace(LONE_SURROGATES, "\uFFFD"))) {
      if (typeof part === "number") ids.push(part);
      else this.#encodeOrdinary(part, ids);
    }
    return ids;
  }

  /** True for many of the texts that have more tokens than this, and for no other, at a fraction of the cost of `encode`. */
  surelyExceeds(text: string, maxTokens: number): boolean {
    if (!this.#hasLengths || 3 * text.length <= maxTokens) return false;
    this.#longest ??= this.#longestByFirstByte();
    const bytes = utf8.encode(text);
    // Where `count` tokens can end at most, and where one more can.
    let [count, end, reach] = [0, 0, 0];
    for (let i = 0; i < bytes.length && count <= maxTokens; i++) {
      reach = Math.max(reach, i + this.#longest[bytes[i]!]!);
      if (i < end) continue;
      count++;
      end = reach;
    }
    return count > maxTokens;
  }

  #encodeOrdinary(text: string, ids: number[]): void {
    const prefix = this.#addPrefixSpace && text !== "" && !text.startsWith(" ") ? " " : "";
    for (const [piece] of (prefix + text).matchAll(PIECES)) {
      for (const id of this.#bpe.encode(piece)) ids.push(id);
    }
  }

  /**
   * The text of a whole sequence. Bytes that are not UTF-8 become U+FFFD, one for each maximal ill-formed part; ids
   * without a token (a model can have more rows than its tokenizer has tokens) become nothing. U+FEFF is kept.
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const id of ids) {
      const bytes = this.tokenBytes(id);
      if (bytes === undefined || (options.skipSpecialTokens && this.isSpecial(id))) continue;
      parts.push(bytes);
      length += bytes.length;
    }
    const joined = new Uint8Array(length);
    let offset = 0;
    for (const bytes of parts) {
      joined.set(bytes, offset);
      offset += bytes.length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(joined);
  }

  /** The bytes of one token, often no whole character; undefined for an id without a token. Not to be written to. */
  tokenBytes(id: number): Uint8Array | undefined {
    const known = this.#bytes[id];
    const token = this.#tokens[id];
    if (known !== undefined || token === undefined) return known;
    const bytes = bytesOfToken(token) ?? utf8.encode(token);
    this.#bytes[id] = bytes;
    return bytes;
  }

  #longestByFirstByte(): number[] {
    const longest = new Array<number>(256).fill(1);
    for (let id = 0; id < this.vocabSize; id++) {
      const bytes = this.tokenBytes(id);
      if (bytes?.length) longest[bytes[0]!] = Math.max(longest[bytes[0]!]!, bytes.length);
    }
    // The space put before a text is not in it, and any part of a text may have got one.
    return this.#addPrefixSpace ? longest.fill(Math.max(...longest)) : longest;
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }
}
