// The types between the generator and its callers (server, library, command line): text in, texts out.
import type { BeamStepTrace } from "../decoding/beam-trace.ts";
import type { DecodingParams, FinishReason } from "../decoding/decoding-params.ts";
import type { NextLogits } from "../decoding/strategy.ts";
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { EngineStats } from "../engine/counts.ts";
import type { Timing } from "../engine/thread/open-requests.ts";
import type { EngineHealth } from "../engine/thread/worker-engine.ts";

/** A request whose fields are checked (see `params.ts`). Its lengths are not compared with the prompt yet. */
export interface GenerationParams {
  /** Exactly one of `input` and `promptTokenIds` is set. */
  readonly input?: string;
  readonly promptTokenIds?: readonly number[];
  /** Set if the caller limits new tokens instead of the total; `decoding.maxLength` is then ignored. */
  readonly maxNewTokens?: number;
  /** Accept fewer new tokens if the model's context ends earlier. Default: such a request is refused. */
  readonly fitsContext?: boolean;
  /** No end-of-text before a sequence has this many tokens, prompt included. Default: only `decoding.ending` counts. */
  readonly minLength?: number;
  /** Give the model only this many tokens from the prompt's end. Default: all. */
  readonly truncatePrompt?: number;
  /** Texts that end a sequence, at most 64 of at most 256 bytes; none is empty. */
  readonly stopStrings?: readonly string[];
  /** Keep what ended a sequence in its text: a stop string with its whole last token, or a stop token. Default: false. */
  readonly includeStop?: boolean;
  /** The texts begin with the prompt. Default: true. */
  readonly echo?: boolean;
  /**
   * How many of the `decoding.numReturnSequences` sequences are returned: those with the highest mean log-probability of a
   * new token. Needs `decoding.logprobs`. Default: all.
   */
  readonly keepBest?: number;
  /** The answer contains log-probabilities. Needs `decoding.logprobs`. Default: false. */
  readonly tellsLogprobs?: boolean;
  readonly decoding: DecodingParams;
}

/** A token of an answer. */
export interface AnswerToken {
  readonly tokenId: number;
  /** The characters that this token completes; if the text is cut inside the token, those that remain. */
  readonly text: string;
  /** Set if they are asked for. */
  readonly logprobs?: TokenLogprobs;
}

/** A token in readable form. */
export interface TokenForm {
  /** Its text, if its bytes are text; see `tokenForm`. */
  readonly name: string;
  /** The bytes that it adds to a text; none for special tokens. */
  readonly bytes: Uint8Array;
  readonly isSpecial: boolean;
}

export interface GeneratedSequence {
  /** With the prompt unless `echo` is false, without special tokens, untrimmed. */
  readonly text: string;
  /** With the prompt, and with the end-of-text token if there is one. */
  readonly tokenIds: readonly number[];
  /** The new tokens that are at least partly in the text, and tokens without text between them. */
  readonly tokens: readonly AnswerToken[];
  /** What the text ends with if that is no whole character: U+FFFD, which no token's text holds. */
  readonly rest?: string;
  /** The token that ended the sequence, if it is not part of the text. */
  readonly endToken?: AnswerToken;
  readonly finishReason: FinishReason;
  /** The stop string, or the id of the stop token, that ended it. */
  readonly stop?: string | number;
  /** Beam mode only: the sum of log-probabilities divided by the number of new tokens to the power of the length penalty. */
  readonly score?: number;
}

export interface Generation {
  readonly sequences: readonly GeneratedSequence[];
  readonly seed: number;
  readonly prompt: GeneratedPrompt;
  /** With `decoding.tellsNext`: the logits behind the prompt. */
  readonly next?: NextLogits;
  readonly promptTokens: number;
  /** How many of them were found in the prefix cache. */
  readonly cachedTokens: number;
  /** Tokens generated for this request, over all its sequences. */
  readonly generatedTokens: number;
  /** Tokens of sequences that were not among the best, without end-of-text tokens. */
  readonly droppedTokens: number;
  readonly timing: Timing;
}

/** The prompt as the model reads it. */
export interface GeneratedPrompt {
  readonly tokenIds: readonly number[];
  /** Its text, without a character that it leaves incomplete. If the model got only the prompt's end, still the whole prompt. */
  readonly text: string;
  /** The tokens that the model did not get, if it got only the prompt's end. */
  readonly skippedTokenIds?: readonly number[];
  /** Set if asked for. Entry i belongs to token i + 1, since the first token has nothing before it. */
  readonly logprobs?: readonly TokenLogprobs[];
}

/** A part of the answer that is final. */
export interface TextPiece {
  /** The sequence's number in the answer. */
  readonly index: number;
  /** Whole characters. Empty only when log-probabilities are asked for. */
  readonly text: string;
  /** The tokens whose text is complete with this piece; see `GeneratedSequence.tokens`. */
  readonly tokens: readonly AnswerToken[];
}

export interface GenerateOptions {
  /** When aborted, the work stops, its pages are freed, and the promise rejects with code `cancelled`. */
  readonly signal?: AbortSignal;
  /** The client's name. Requests of different clients take turns in the queue. Default "". */
  readonly client?: string;
  /**
   * Called with each piece of text that is final, always before the promise resolves. The joined pieces of a sequence are
   * exactly its text. In a beam search, only text that all live beams agree on is final.
   */
  readonly onPiece?: (piece: TextPiece) => void;
  /** Called before the first piece. */
  readonly onPrompt?: (prompt: GeneratedPrompt) => void;
  /** Called with the steps of a beam search, if `decoding.trace` asks for them. */
  readonly onSteps?: (steps: readonly BeamStepTrace[]) => void;
}

export type GeneratorHealth = EngineHealth;

export type GeneratorStats = EngineStats;

/** What callers need from a loaded model. Rejects with `GptError`. */
export interface Generator {
  /** @throws GptError `queue_full`, `cancelled`, `timed_out`, `engine_failed`, or the reason for refusing the request */
  generate(params: GenerationParams, options?: GenerateOptions): Promise<Generation>;
  /** Facts about the loaded checkpoint, for messages and metrics. */
  readonly model: ModelInfo;
  /** A token in readable form. */
  token(id: number): TokenForm;
  /** Tokenizes a text as a prompt. @throws GptError `invalid_field`, `prompt_too_long` */
  tokenize(text: string): Promise<readonly number[]>;
  /** The text of tokens, without special tokens. @throws GptError `invalid_field` */
  detokenize(tokenIds: readonly number[]): string;
  /**
   * `fp_` and twelve hexadecimal digits; undefined while it is still being computed. Equal fingerprints, requests and seeds
   * mean equal texts.
   */
  readonly fingerprint: string | undefined;
  readonly health: GeneratorHealth;
  /** The engine's counts, as last reported. */
  stats(): GeneratorStats;
  close(): Promise<void>;
}

export interface ModelInfo {
  readonly name: string;
  /** For a model from a hub: its name and commit, as `owner/name at 607a30d7`. */
  readonly origin?: string;
  readonly precision: string;
  /** The instruction set of the native kernels, or the build of the WebAssembly kernels. */
  readonly kernels: string;
  /** That compute. */
  readonly threads: number;
  readonly parameters: number;
  readonly vocabSize: number;
  /** The end-of-text token as it is written in a text. */
  readonly endOfText?: string;
  /** n_positions: the cap of `max_length`. */
  readonly contextLength: number;
}
