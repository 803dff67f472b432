// Turns the new tokens of one sequence into text, token by token. Bytes that may still become part of a stop string are held
// back, and so are the first bytes of an incomplete character. Stop strings are not found here: the engine finds them and says
// where the text ends.
import { heldBack } from "../decoding/stop-strings.ts";
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { AnswerToken } from "../request/generation.ts";
import { Detokenizer } from "../tokenizer/detokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { textBytes } from "./vocabulary.ts";

/** The text and tokens that have become final. */
export interface Part {
  /** Complete characters only. */
  text: string;
  /** The tokens whose whole text is in this part or in earlier ones. */
  readonly tokens: AnswerToken[];
}

/** The text and tokens that become final at the end of a sequence. */
export interface End extends Part {
  /** U+FFFD if the text ends within a character, otherwise empty. It is part of the text, but of no token's text. */
  readonly rest: string;
}

export interface AnswerText {
  /** The text of the prompt, without an incomplete character at its end. */
  readonly promptText: string;
  push(tokenId: number, logprobs?: TokenLogprobs): Part;
  /** Takes one of the last tokens, among which a stop string begins. `end` then says how many of the bytes belong to the text. */
  keep(tokenId: number, logprobs?: TokenLogprobs): void;
  /** The rest of the text. `keptBytes`: with a stop string, how many bytes of all new tokens belong to the text. */
  end(keptBytes?: number): End;
}

/** `stops`: the stop strings to cut off, in UTF-8. */
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

/** Without a tokenizer, tokens have no text. */
class NoText implements AnswerText {
  readonly promptText = "";

  push(tokenId: number, logprobs?: TokenLogprobs): Part {
    return { text: "", tokens: [answerToken(tokenId, "", logprobs)] };
  }

  keep(): void {} // Without a tokenizer a request with stop strings is refused.

  end(): End {
    return { text: "", tokens: [], rest: "" };
  }
}

/** Releases all text as soon as its characters are complete. */
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

  keep(): void {} // Never called: no stop string is cut off from such a text.

  end(): End {
    const rest = this.#detokenizer.flush();
    return { text: rest, tokens: [], rest };
  }
}

/** A token that has not been released completely. */
interface Held {
  readonly tokenId: number;
  readonly logprobs: TokenLogprobs | undefined;
  readonly bytes: Uint8Array;
  numOut: number;
  text: string;
}

/** Text that may end before a stop string. Only for tokenizers whose tokens are bytes. */
class HeldText implements AnswerText {
  readonly promptText: string;
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly Uint8Array[];
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #held: Held[] = [];
  /** The bytes that have not been released. */
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

  /** Releases `count` bytes, and the tokens that are complete with them. */
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
