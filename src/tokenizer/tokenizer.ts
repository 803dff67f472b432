// The tokenizer of a checkpoint: text to token ids and back. It connects the stages, each of which has a file of its own:
//
//   added tokens are cut out → normalizer → pre-tokenizer: pieces → byte-pair encoding: ids → post-processor: start token
//
// It is not a loader (tokenizer-files.ts) and holds no state of a sequence (detokenizer.ts).
import { AddedTokens, normalizedContent } from "./added-tokens.ts";
import { Bpe, type BpeModel } from "./bpe.ts";
import { BYTE_TO_CHAR, bytesOfToken } from "./byte-map.ts";
import type { Decoder, Decoding } from "./decoders.ts";
import type { Normalizer } from "./normalizers.ts";
import type { PostProcessor } from "./post-processors.ts";
import type { PreTokenizer } from "./pre-tokenizers.ts";
import type { AddedToken } from "./tokenizer-parts.ts";
import { endlessWork, runToEnd, type Steps, type Work } from "./work.ts";

/** Pieces longer than this are encoded in steps. */
const SHORT_PIECE = 1024;
/** The fixed cost of a piece, in units of work. */
const PIECE_WORK = 4;

const utf8 = new TextEncoder();

/** Everything that distinguishes one checkpoint's tokenizer from another's. */
export interface TokenizerDefinition {
  readonly bpe: BpeModel;
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer?: Normalizer | undefined;
  readonly preTokenizer: PreTokenizer;
  /** Default: nothing is put around a text. */
  readonly postProcessor?: PostProcessor;
  /** Default: ByteLevel. */
  readonly decoder?: Decoder;
  /** Special tokens that are written in a text are text. Default: false. */
  readonly splitSpecialTokens?: boolean;
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
  readonly #definition: TokenizerDefinition;
  /** No token stands for more bytes of a text than its own. */
  readonly #hasLengths: boolean;
  /** Bytes of the longest token that begins with a byte, found when it is first asked for. */
  #longest: readonly number[] | undefined; // [256]
  readonly #bpe: Bpe;
  readonly #addedTokens: AddedTokens;
  readonly #tokens: (string | undefined)[] = []; // by id
  readonly #bytes: (Uint8Array | undefined)[] = []; // by id, made on demand
  readonly #specialIds: ReadonlySet<number>;

  constructor(definition: TokenizerDefinition) {
    const { bpe, addedTokens, normalizer, splitSpecialTokens = false, endOfTextId } = definition;
    this.#definition = definition;
    for (const [token, id] of bpe.vocab) this.#tokens[id] = token;
    const specialContents = new Set(
      addedTokens.filter(({ special }) => special).map(({ content }) => content),
    );
    const specialIds = new Set<number>();
    for (const token of addedTokens) {
      const { id, content } = token;
      const form = normalizedContent(token, normalizer);
      this.#tokens[id] = form;
      if (specialContents.has(form)) specialIds.add(id);
      // Added tokens are plain text, even if the vocabulary is written in the byte table.
      if (form === content) this.#bytes[id] = utf8.encode(content);
    }
    this.vocabSize = this.#tokens.length;
    this.endOfTextId = endOfTextId;
    this.#hasLengths = hasLengths(definition);
    this.#bpe = new Bpe(bpe);
    this.#addedTokens = new AddedTokens(addedTokens, { normalizer, splitSpecialTokens });
    this.#specialIds = specialIds;
  }

  /**
   * The token ids of a text, with those that the checkpoint puts around a text, such as a start token; GPT-2 puts none.
   * Added tokens written out in it, such as "<|endoftext|>", become their ids. A surrogate without its other half is
   * encoded as U+FFFD.
   */
  encode(text: string): number[] {
    return runToEnd(this.encodeInSteps(text, endlessWork()))!;
  }

  /** The same in steps; undefined when the ids are more than `maxTokens`, which shows long before the end of a long text. */
  *encodeInSteps(
    text: string,
    work: Work,
    maxTokens = Number.POSITIVE_INFINITY,
  ): Steps<number[] | undefined> {
    if (this.surelyExceeds(text, maxTokens)) return undefined;
    const ids: number[] = [];
    for (const part of this.#addedTokens.split(text.toWellFormed(), work)) {
      if (typeof part === "number") ids.push(part);
      else if (part === undefined) yield undefined;
      else if (!(yield* this.#encodePart(part, ids, work, maxTokens))) return undefined;
      if (ids.length > maxTokens) return undefined;
    }
    const processed = this.#definition.postProcessor?.(ids) ?? ids;
    return processed.length <= maxTokens ? processed : undefined;
  }

  /** Appends the ids of text without added tokens; false when they become more than `maxTokens`. */
  *#encodePart(text: string, ids: number[], work: Work, maxTokens: number): Steps<boolean> {
    for (const piece of this.#definition.preTokenizer.split(text, work)) {
      if (piece === undefined) {
        yield undefined;
        continue;
      }
      const isShort = piece.length <= SHORT_PIECE;
      const own = isShort
        ? this.#bpe.encode(piece)
        : yield* this.#bpe.encodeInSteps(piece, work, maxTokens - ids.length);
      if (own === undefined || own.length > maxTokens - ids.length) return false;
      for (const id of own) ids.push(id);
      work.left -= piece.length + PIECE_WORK;
      if (work.left < 0) yield undefined;
    }
    return true;
  }

  /** True for many of the texts that have more tokens than this, and for no other, at a fraction of the cost of `encode`. */
  surelyExceeds(text: string, maxTokens: number): boolean {
    if (!this.#hasLengths || 3 * text.length <= maxTokens) return false;
    this.#longest ??= this.#longestByFirstByte();
    // No more needs to be read: no token is longer than this.
    const bytes = utf8.encode(text.slice(0, (maxTokens + 1) * Math.max(...this.#longest)));
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

  /**
   * The text of a whole sequence. Bytes that are not UTF-8 become U+FFFD, one for each maximal ill-formed part; ids
   * without a token (a model can have more rows than its tokenizer has tokens) become nothing. U+FEFF is kept.
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const kept = Array.from(ids).filter((id) => !options.skipSpecialTokens || !this.isSpecial(id));
    const decoding = this.startDecoding();
    if (decoding) {
      const tokens = kept.map((id) => this.tokenOf(id)).filter((token) => token !== undefined);
      return tokens.map((token) => decoding.push(token)).join("") + decoding.flush();
    }
    const parts = kept.map((id) => this.tokenBytes(id)).filter((bytes) => bytes !== undefined);
    const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const bytes of parts) {
      joined.set(bytes, offset);
      offset += bytes.length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(joined);
  }

  /** The decoding of a new text; undefined where tokens are bytes, which are only to be put together. */
  startDecoding(): Decoding | undefined {
    const { decoder = "ByteLevel" } = this.#definition;
    return decoder === "ByteLevel" ? undefined : decoder();
  }

  /** A token as its file has it; undefined for an id without one. */
  tokenOf(id: number): string | undefined {
    return this.#tokens[id];
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
    // A prefix space is not part of the text, and any part of a text may have got one.
    return this.#definition.preTokenizer.addsSpaces ? longest.fill(Math.max(...longest)) : longest;
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }
}

/** Lengths are unknown if tokens absorb the spaces beside them, or if text is changed or left out. */
function hasLengths({ bpe, addedTokens, normalizer, preTokenizer }: TokenizerDefinition): boolean {
  if (normalizer || !bpe.isByteLevel || !preTokenizer.isLossless || bpe.continuingPrefix) return false;
  return BYTE_TO_CHAR.every((char) => bpe.vocab.has(char)) && !addedTokens.some((t) => t.lstrip || t.rstrip);
}
