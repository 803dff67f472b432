// The types at the border between the service and its callers (server and CLI): text in, texts out.
import type { BeamStepTrace } from "../decoding/beam-trace.ts";
import type { DecodingParams, FinishReason } from "../decoding/decoding-params.ts";
import type { NextLogits } from "../decoding/strategy.ts";
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { EngineStats } from "../engine/counts.ts";
import type { Timing } from "../engine/thread/open-requests.ts";
import type { EngineHealth } from "../engine/thread/worker-engine.ts";

/** A request after its fields were checked (see `src/request/params.ts`); lengths are still to be compared with the prompt. */
export interface GenerationParams {
  /** Exactly one of `input` and `promptTokenIds` is set. */
  readonly input?: string;
  readonly promptTokenIds?: readonly number[];
  /** Set when the caller limited new tokens instead of the total; `decoding.maxLength` is then ignored. */
  readonly maxNewTokens?: number;
  /** Fewer new tokens are right where the model's context ends before. Default: such a request is refused. */
  readonly fitsContext?: boolean;
  /** No end-of-text before a sequence has so many tokens, the prompt's included. Default: `decoding.ending` alone counts. */
  readonly minLength?: number;
  /** Only the last so many tokens of the prompt are given to the model. Default: all. */
  readonly truncatePrompt?: number;
  /** Texts that end a sequence, at most 64 of at most 256 bytes; none is empty. */
  readonly stopStrings?: readonly string[];
  /** What ended a sequence stays in its text: a stop string, with all of its last token, or a stop token. Default: false. */
  readonly includeStop?: boolean;
  /** The texts begin with the prompt's. Default: true. */
  readonly echo?: boolean;
  /**
   * Of the `decoding.numReturnSequences` sequences so many are answered: those with the highest mean log-probability of a new
   * token. Needs `decoding.logprobs`. Default: all.
   */
  readonly keepBest?: number;
  /** The answer tells how likely its tokens were. Needs `decoding.logprobs`. Default: false. */
  readonly tellsLogprobs?: boolean;
  readonly decoding: DecodingParams;
}

/** A token of an answer. */
export interface AnswerToken {
  readonly tokenId: number;
  /** The characters that became complete with it; of one that is cut, those that stay. */
  readonly text: string;
  /** Where they are asked for. */
  readonly logprobs?: TokenLogprobs;
}

/** What a token is to people. */
export interface TokenForm {
  /** Its text where that is one; see `tokenForm`. */
  readonly name: string;
  /** What it adds to a text; nothing for special tokens. */
  readonly bytes: Uint8Array;
  readonly isSpecial: boolean;
}

export interface GeneratedSequence {
  /** Prompt included unless that was not wanted, special tokens left out, nothing trimmed. */
  readonly text: string;
  /** Prompt included; the end-of-text token too, when one came. */
  readonly tokenIds: readonly number[];
  /** The new tokens of which anything is in the text, and those without text between them. */
  readonly tokens: readonly AnswerToken[];
  /** The token that ended the sequence and is not part of the text. */
  readonly endToken?: AnswerToken;
  readonly finishReason: FinishReason;
  /** The stop string, or the id of the stop token, that ended it. */
  readonly stop?: string | number;
  /** Beam mode only: summed log-probability over the number of new tokens to the power of the length penalty. */
  readonly score?: number;
}

export interface Generation {
  readonly sequences: readonly GeneratedSequence[];
  readonly seed: number;
  readonly prompt: GeneratedPrompt;
  /** With `decoding.tellsNext`: the logits behind the prompt. */
  readonly next?: NextLogits;
  readonly promptTokens: number;
  /** Those of them that an earlier request had computed. */
  readonly cachedTokens: number;
  /** Tokens computed for this request, over all its sequences. */
  readonly generatedTokens: number;
  /** Of sequences that were not among the best, without end-of-text tokens. */
  readonly droppedTokens: number;
  readonly timing: Timing;
}

/** The prompt as the model read it. */
export interface GeneratedPrompt {
  readonly tokenIds: readonly number[];
  /** Its text; that of the whole prompt, where only the end of it was given to the model. */
  readonly text: string;
  /** Where they are asked for: entry i is of token i + 1; the first token has nothing before it. */
  readonly logprobs?: readonly TokenLogprobs[];
}

/** A part of the answer that is final. */
export interface TextPiece {
  /** Number of the sequence in the answer. */
  readonly index: number;
  /** Whole characters; never empty, unless log-probabilities of the tokens are asked for. */
  readonly text: string;
  /** The tokens that are all out with it; see `GeneratedSequence.tokens`. */
  readonly tokens: readonly AnswerToken[];
}

export interface GenerateOptions {
  /** Aborted: the work stops, its pages come home and the promise rejects with code `cancelled`. */
  readonly signal?: AbortSignal;
  /** Who asks: requests of different clients take turns in the queue. Default "". */
  readonly client?: string;
  /**
   * Called with pieces of text as they become final, all of them before the promise resolves. The pieces of a
   * sequence, joined, are exactly its text. Of a beam search only what no live beam can take back.
   */
  readonly onPiece?: (piece: TextPiece) => void;
  /** Called before the first piece. */
  readonly onPrompt?: (prompt: GeneratedPrompt) => void;
  /** Called with the steps of a beam search, if `decoding.trace` asks for them. */
  readonly onSteps?: (steps: readonly BeamStepTrace[]) => void;
}

export type GeneratorHealth = EngineHealth;

export type GeneratorStats = EngineStats;

/** What a front needs from a loaded model. Rejects with `GptError`. */
export interface Generator {
  /** @throws GptError `queue_full`, `cancelled`, `timed_out`, `engine_failed` or what the request is refused with. */
  generate(params: GenerationParams, options?: GenerateOptions): Promise<Generation>;
  /** Facts about the loaded checkpoint, for messages and metrics. */
  readonly model: ModelInfo;
  /** A token for people. */
  token(id: number): TokenForm;
  /** The tokens of a text, as a prompt has them. @throws GptError `invalid_field`, `prompt_too_long` */
  tokenize(text: string): Promise<readonly number[]>;
  /** The text of tokens, special ones left out. @throws GptError `invalid_field` */
  detokenize(tokenIds: readonly number[]): string;
  /**
   * `fp_` and twelve hexadecimal digits, or undefined while it is not known yet: with equal ones, equal requests with
   * equal seeds have equal texts.
   */
  readonly fingerprint: string | undefined;
  readonly health: GeneratorHealth;
  /** What the engine last told about itself. */
  stats(): GeneratorStats;
  close(): Promise<void>;
}

export interface ModelInfo {
  readonly name: string;
  /** Of a model of a hub: which one it is, as `owner/name at 607a30d7`. */
  readonly origin?: string;
  readonly precision: string;
  /** The instruction set of the native kernels, or the build of the WebAssembly ones. */
  readonly kernels: string;
  /** That compute. */
  readonly threads: number;
  readonly parameters: number;
  readonly vocabSize: number;
  /** The token that ends a text, as it is written in one. */
  readonly endOfText?: string;
  /** n_positions: the cap of `max_length`. */
  readonly contextLength: number;
}
