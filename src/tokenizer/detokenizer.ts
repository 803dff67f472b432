// Ids to text as they come: one object for one sequence, which holds the bytes of a character that is not complete yet.
// It is not a filter of words or stop strings. The pieces of a sequence, joined, are what `Tokenizer.decode` gives.
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";

export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecialTokens: boolean;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#skipSpecialTokens = options.skipSpecialTokens ?? false;
  }

  /** The text that became complete with this id; often empty. */
  push(id: number): string {
    const bytes = this.#tokenizer.tokenBytes(id);
    if (bytes === undefined || (this.#skipSpecialTokens && this.#tokenizer.isSpecial(id))) return "";
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** The end of the sequence: U+FFFD when bytes are left that make no character. Afterwards a new one can begin. */
  flush(): string {
    return this.#decoder.decode();
  }
}
