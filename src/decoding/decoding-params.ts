// The parameters of a search, checked and complete. The modes are a union type, so a greedy request cannot have a beam width.
// Names, ranges and defaults of request fields are in `src/request/`, not here.

export type Search =
  | { readonly kind: "greedy" }
  | {
      readonly kind: "sample";
      readonly temperature: number;
      /** 0: off. */
      readonly topK: number;
      /** 1: off. */
      readonly topP: number;
      /** 0 or absent: off. */
      readonly minP?: number;
    }
  | {
      readonly kind: "beam";
      readonly numBeams: number;
      readonly lengthPenalty: number;
      readonly earlyStopping: boolean;
    };

export interface DecodingParams {
  /** Largest number of tokens, including the prompt. A request's `maxNewTokens` has been turned into this number. */
  readonly maxLength: number;
  readonly numReturnSequences: number;
  /** An integer from 0 to 2^32 − 1. A request without a seed has been given a random one. */
  readonly seed: number;
  /** No run of this many tokens may occur twice. 0: off. */
  readonly noRepeatNgramSize: number;
  readonly search: Search;
  readonly penalties?: Penalties;
  readonly ending?: Ending;
  /** Return the log-probability of each new token, and this many of the most likely tokens beside it. Absent: neither. */
  readonly logprobs?: number;
  /** Return the same for the prompt's tokens. Needs `logprobs`. */
  readonly promptLogprobs?: boolean;
  /** Also return how each token was chosen, and the steps of a beam search. Needs `logprobs`. */
  readonly trace?: true;
  /** Return the logits of the token after the prompt. Only for requests that want no new tokens. */
  readonly tellsNext?: true;
}

/** What makes tokens more or less likely, in every mode. An absent field has no effect. */
export interface Penalties {
  /** Token id → number that is added to its logit. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** 1: off. */
  readonly repetition?: number;
  /** 0: off. */
  readonly frequency?: number;
  readonly presence?: number;
}

/** What ends a text, and what prevents it from ending. */
export interface Ending {
  /** No end-of-text token and no stop token comes before this many new tokens. */
  readonly minNewTokens?: number;
  /** True: an end-of-text token does not end the text. */
  readonly ignoreEos?: boolean;
  /** Tokens that end a text as an end-of-text token does. */
  readonly stopTokenIds?: readonly number[];
  readonly stopStrings?: StopStrings;
}

export interface StopStrings {
  /** In UTF-8. None is empty. */
  readonly strings: readonly Uint8Array[];
  /** The bytes of all tokens, in memory shared between threads. */
  readonly tokens: TokenBytes;
}

/** The bytes of all tokens. Token i has the bytes from `offsets[i]` up to `offsets[i + 1]`. Special tokens have none. */
export interface TokenBytes {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array; // [vocab + 1]
}

/**
 * `stop`: an end-of-text token, a stop token or a stop string ended the text. `length`: the maximum length was reached, or in
 * a beam search every token was banned.
 */
export type FinishReason = "stop" | "length";
