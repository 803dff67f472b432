// Decides whether a sequence ends with a token, and why. The checks are in this order: end-of-text token, stop token, stop
// string, maximum length. All strategies use it; beam search asks it about candidates.
import type { DecodingParams } from "./decoding-params.ts";
import { stopMatch } from "./stop-strings.ts";
import type { End, SearchContext } from "./strategy.ts";

export class Endings {
  /** Tokens that end a text: the end-of-text tokens, unless they are ignored, and the stop tokens. */
  readonly tokenIds: ReadonlySet<number>;
  readonly promptLength: number;
  readonly #eos: ReadonlySet<number>;
  readonly #params: DecodingParams;

  constructor(params: DecodingParams, { eosTokenIds, promptLength }: SearchContext) {
    const { ignoreEos = false, stopTokenIds = [] } = params.ending ?? {};
    this.#params = params;
    this.#eos = ignoreEos ? new Set() : eosTokenIds;
    this.tokenIds = new Set([...this.#eos, ...stopTokenIds]);
    this.promptLength = promptLength;
  }

  /** How the sequence ends if `tokenId` comes next. Undefined: it goes on. */
  endWith(sequence: readonly number[], tokenId: number): End | undefined {
    if (this.#eos.has(tokenId)) return { finishReason: "stop" };
    if (this.tokenIds.has(tokenId)) return { finishReason: "stop", stop: { kind: "token", tokenId } };
    const match = this.#stopString(sequence, tokenId);
    if (match) return { finishReason: "stop", stop: { kind: "string", ...match } };
    return sequence.length + 1 >= this.#params.maxLength ? { finishReason: "length" } : undefined;
  }

  #stopString(sequence: readonly number[], tokenId: number) {
    const stops = this.#params.ending?.stopStrings;
    return stops && stopMatch(stops.strings, stops.tokens, [...sequence, tokenId], this.promptLength);
  }
}
