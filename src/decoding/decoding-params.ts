// What a search needs to know, checked and complete. Modes are a union, so that a beam width cannot exist in a
// greedy request. The wire's names and defaults live in `src/request/`, not here.

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
  /** Total number of tokens, prompt included; exclusive with `maxNewTokens`, which is resolved against the prompt. */
  readonly maxLength: number;
  readonly numReturnSequences: number;
  /** 0 … 2^32−1, always the seed really used. */
  readonly seed: number;
  /** 0 switches the ban off. */
  readonly noRepeatNgramSize: number;
  readonly search: Search;
  readonly penalties?: Penalties;
  readonly ending?: Ending;
  /** Tell how likely each new token was, and so many of the most likely ones beside it. Absent: neither. */
  readonly logprobs?: number;
  /** Tell the same of the prompt's tokens. Needs `logprobs`. */
  readonly promptLogprobs?: boolean;
  /** Tell also how each token was chosen, and the steps of a beam search. Needs `logprobs`. */
  readonly trace?: true;
  /** Tell the logits behind the prompt. Only for requests that want no new tokens. */
  readonly tellsNext?: true;
}

/** What makes tokens more or less likely, in every mode. An absent one has no effect. */
export interface Penalties {
  /** Token id → what is added to its logit. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** 1: off. */
  readonly repetition?: number;
  /** 0: off. */
  readonly frequency?: number;
  readonly presence?: number;
}

/** What ends a text, and what keeps it from ending. */
export interface Ending {
  /** No end-of-text and no stop token before so many new tokens. */
  readonly minNewTokens?: number;
  /** An end-of-text token is one like any other. */
  readonly ignoreEos?: boolean;
  /** Tokens that end a text as an end-of-text does. */
  readonly stopTokenIds?: readonly number[];
  readonly stopStrings?: StopStrings;
}

export interface StopStrings {
  /** In UTF-8, none empty. */
  readonly strings: readonly Uint8Array[];
  /** The bytes of all tokens, in memory that threads share. */
  readonly tokens: TokenBytes;
}

/** The bytes of all tokens: token i has `bytes[offsets[i]]` to `bytes[offsets[i + 1]]`. Special tokens have none. */
export interface TokenBytes {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array; // [vocab + 1]
}

/**
 * `stop`: an end-of-text token came, or what the caller named; `length`: max_length was reached, or every token was banned in
 * a beam search.
 */
export type FinishReason = "stop" | "length";
