// From the new tokens of one sequence to its text, as they come. What could still become part of a stop string is held back, and
// so are the first bytes of a character. It finds no stop strings: the engine does, and says where the text ends.
import { heldBack } from "../decoding/stop-strings.ts";
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { AnswerToken } from "../request/generation.ts";
import { Detokenizer } from "../tokenizer/detokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { textBytes } from "./vocabulary.ts";

/** What became final. */
export interface Part {
  /** Whole characters. */
  text: string;
  /** The tokens whose text is all in it or in parts before it. */
  readonly tokens: AnswerToken[];
}

/** What becomes final at the end of a sequence. */
export interface End extends Part {
  /** What its text ends with: U+FFFD for a character that is not complete, and is in no token's text. */
  readonly rest: string;
}

export interface AnswerText {
  /** The text of the prompt, without a character that it leaves incomplete. */
  readonly promptText: string;
  push(tokenId: number, logprobs?: TokenLogprobs): Part;
  /** Takes a token of the end, where a stop string is known to be; `end` says what of it belongs to the text. */
  keep(tokenId: number, logprobs?: TokenLogprobs): void;
  /** The rest. With a stop string: of the bytes of all new tokens so many belong to the text. */
  end(keptBytes?: number): End;
}

/** The text of a sequence; `stops` are the stop strings that are cut off, in UTF-8. */
export function answerText(
  tokenizer: Tokenizer | undefined,
  promptTokenIds: readonly number[],
  stops: readonly Uint8Array[],
): AnswerText {
  if (tokenizer === undefined) return new NoText();
  if (stops.length > 0) return new HeldText(tokenizer, promptTokenIds, stops);
  return new PlainText(tokenizer, promptTokenIds);
}

function answerToken(tokenId: number, text: string, logprobs: TokenLogprobs | undefined): AnswerToken {
  return { tokenId, text, ...(logprobs && { logprobs }) };
}

/** Where there is no tokenizer, tokens have no text. */
class NoText implements AnswerText {
  readonly promptText = "";

  push(tokenId: number, logprobs?: TokenLogprobs): Part {
    return { text: "", tokens: [answerToken(tokenId, "", logprobs)] };
  }

  keep(): void {} // Without a tokenizer nobody can name a stop string.

  end(): End {
    return { text: "", tokens: [], rest: "" };
  }
}

/** All text, as soon as its characters are whole. */
class PlainText implements AnswerText {
  readonly promptText: string;
  readonly #detokenizer: Detokenizer;

  constructor(tokenizer: Tokenizer, promptTokenIds: readonly number[]) {
    this.#detokenizer = new Detokenizer(tokenizer, { skipSpecialTokens: true });
    this.promptText = promptTokenIds.map((id) => this.#detokenizer.push(id)).join("");
  }

  push(tokenId: number, logprobs?: TokenLogprobs): Part {
    const text = this.#detokenizer.push(tokenId);
    return { text, tokens: [answerToken(tokenId, text, logprobs)] };
  }

  keep(): void {} // No stop string is cut off from such a text.

  end(): End {
    const rest = this.#detokenizer.flush();
    return { text: rest, tokens: [], rest };
  }
}

/** A token that is not wholly out yet. */
interface Held {
  readonly tokenId: number;
  readonly logprobs: TokenLogprobs | undefined;
  readonly bytes: Uint8Array;
  numOut: number;
  text: string;
}

/** Text that ends before a stop string; for tokenizers whose tokens are bytes. */
class HeldText implements AnswerText {
  readonly promptText: string;
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly Uint8Array[];
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #held: Held[] = [];
  /** The bytes that are not out yet. */
  #pending = new Uint8Array(0);
  #numOut = 0;

  constructor(tokenizer: Tokenizer, promptTokenIds: readonly number[], stops: readonly Uint8Array[]) {
    this.#tokenizer = tokenizer;
    this.#stops = stops;
    this.promptText = promptTokenIds
      .map((id) => this.#decoder.decode(textBytes(tokenizer, id), { stream: true }))
      .join("");
  }

  push(tokenId: number, logprobs?: TokenLogprobs): Part {
    this.keep(tokenId, logprobs);
    return this.#release(this.#pending.length - heldBack(this.#stops, this.#pending));
  }

  keep(tokenId: number, logprobs?: TokenLogprobs): void {
    const bytes = textBytes(this.#tokenizer, tokenId);
    this.#held.push({ tokenId, logprobs, bytes, numOut: 0, text: "" });
    this.#pending = joined(this.#pending, bytes);
  }

  end(keptBytes?: number): End {
    const count = keptBytes === undefined ? this.#pending.length : keptBytes - this.#numOut;
    const part = this.#release(count);
    const rest = this.#decoder.decode();
    part.text += rest;
    const [cut] = this.#held;
    if (cut && cut.numOut > 0) part.tokens.push(answerToken(cut.tokenId, cut.text, cut.logprobs));
    return { ...part, rest };
  }

  /** Lets so many bytes out, and the tokens that are then complete. */
  #release(count: number): Part {
    const part: Part = { text: "", tokens: [] };
    let left = count;
    for (let token = this.#held[0]; token; token = this.#held[0]) {
      const bytes = token.bytes.subarray(token.numOut, token.numOut + left);
      const text = this.#decoder.decode(bytes, { stream: true });
      token.numOut += bytes.length;
      token.text += text;
      left -= bytes.length;
      part.text += text;
      if (token.numOut < token.bytes.length) break;
      part.tokens.push(answerToken(token.tokenId, token.text, token.logprobs));
      this.#held.shift();
    }
    this.#pending = this.#pending.subarray(count);
    this.#numOut += count;
    return part;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
