// Turns token ids into text one by one. Each sequence has its own object, which holds bytes that are no whole character yet.
// The joined pieces of a sequence equal the result of `Tokenizer.decode`. It knows nothing of stop strings.
import type { Decoding } from "./decoders.ts";
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";

export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecialTokens: boolean;
  /** Undefined: tokens are bytes. */
  readonly #decoding: Decoding | undefined;
  readonly #bytes = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#skipSpecialTokens = options.skipSpecialTokens ?? false;
    this.#decoding = tokenizer.startDecoding();
  }

  /** The text that became complete with this id; often empty. */
  push(id: number): string {
    if (this.#skipSpecialTokens && this.#tokenizer.isSpecial(id)) return "";
    if (this.#decoding) {
      const token = this.#tokenizer.tokenOf(id);
      return token === undefined ? "" : this.#decoding.push(token);
    }
    const bytes = this.#tokenizer.tokenBytes(id);
    return bytes === undefined ? "" : this.#bytes.decode(bytes, { stream: true });
  }

  /** The end of the sequence: U+FFFD when bytes are left that make no character. Afterwards a new one can begin. */
  flush(): string {
    return this.#decoding ? this.#decoding.flush() : this.#bytes.decode();
  }
}
