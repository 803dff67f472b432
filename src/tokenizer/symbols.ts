// Turns a piece of text into the tokens of its single bytes or characters, before anything is merged. It follows `merge_word` of
// Hugging Face's `tokenizers`, including the order in which unknown characters and bytes come out.
import { BYTE_TO_CHAR } from "./byte-map.ts";
import { endOfChunk, type Steps, type Work } from "./work.ts";

export interface SymbolModel {
  readonly vocab: ReadonlyMap<string, number>;
  /** A piece begins as its UTF-8 bytes, in the characters of the byte table; otherwise as its characters. */
  readonly isByteLevel: boolean;
  /** Stands before every character of a piece but the first. */
  readonly continuingPrefix?: string;
  /** A character without a token becomes the tokens "<0x00>" to "<0xFF>" of its bytes, if all of them are there. */
  readonly byteFallback?: boolean;
  /** Stands for a character that has no token; without it such a character is left out. */
  readonly unknownId?: number | undefined;
  /** One unknown token for a whole run of unknown characters. */
  readonly fuseUnknown?: boolean;
}

/** The token of a character, or the tokens of its bytes; undefined: unknown. */
type SymbolIds = number | readonly number[] | undefined;

const utf8Encoder = new TextEncoder();

export class Symbols {
  readonly #model: SymbolModel;
  /** Of each byte, at the beginning of a piece and further on. */
  readonly #bytes: readonly [first: readonly SymbolIds[], others: readonly SymbolIds[]]; // [2][256]

  constructor(model: SymbolModel) {
    this.#model = model;
    const ofBytes = (isFirst: boolean): SymbolIds[] =>
      BYTE_TO_CHAR.map((char) => this.#lookUp(char, isFirst));
    const others = ofBytes(false);
    this.#bytes = [model.continuingPrefix ? ofBytes(true) : others, others];
  }

  /** The token that a whole piece is. */
  tokenOf(piece: string): number | undefined {
    const { vocab, isByteLevel } = this.#model;
    if (!isByteLevel) return vocab.get(piece);
    return vocab.get(Array.from(utf8Encoder.encode(piece), (byte) => BYTE_TO_CHAR[byte]!).join(""));
  }

  /** The symbols of a piece; undefined as soon as they are more than `max`. */
  *of(piece: string, work: Work, max: number): Steps<number[] | undefined> {
    const { isByteLevel, unknownId, fuseUnknown } = this.#model;
    const symbols: number[] = [];
    let isFirst = true;
    let isUnknownPending = false; // Written once the next character is known.
    for (let start = 0; start < piece.length; ) {
      const end = endOfChunk(piece, start);
      const chunk = piece.slice(start, end);
      for (const unit of isByteLevel ? utf8Encoder.encode(chunk) : chunk) {
        const ids = this.#idsOf(unit, isFirst);
        isFirst = false;
        if (typeof ids === "number") {
          if (isUnknownPending) symbols.push(unknownId!);
          isUnknownPending = false;
          symbols.push(ids);
        } else if (ids !== undefined) {
          symbols.push(...ids);
        } else if (unknownId !== undefined) {
          if (isUnknownPending && !fuseUnknown) symbols.push(unknownId);
          isUnknownPending = true;
        }
      }
      start = end;
      if (symbols.length > max) return undefined;
      work.left -= chunk.length;
      if (work.left < 0) yield undefined;
    }
    if (isUnknownPending) symbols.push(unknownId!);
    return symbols;
  }

  #idsOf(unit: number | string, isFirst: boolean): SymbolIds {
    if (typeof unit === "number") return this.#bytes[isFirst ? 0 : 1][unit];
    return this.#lookUp(unit, isFirst);
  }

  #lookUp(char: string, isFirst: boolean): SymbolIds {
    const { vocab, continuingPrefix = "", byteFallback } = this.#model;
    const symbol = isFirst ? char : continuingPrefix + char;
    const id = vocab.get(symbol);
    if (id !== undefined || !byteFallback) return id;
    const ids = Array.from(utf8Encoder.encode(symbol), (byte) => vocab.get(byteToken(byte)));
    return ids.every((known) => known !== undefined) ? ids : undefined;
  }
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}
