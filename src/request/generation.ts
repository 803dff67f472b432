// The types at the border between the service and its callers (server and CLI): text in, texts out.
import type { DecodingParams, FinishReason } from "../decoding/decoding-params.ts";
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
  readonly decoding: DecodingParams;
}

export interface GeneratedSequence {
  /** Prompt included, special tokens left out, nothing trimmed. */
  readonly text: string;
  /** Prompt included; the end-of-text token too, when one came. */
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason;
  /** Beam mode only: summed log-probability over the number of new tokens to the power of the length penalty. */
  readonly score?: number;
}

export interface Generation {
  readonly sequences: readonly GeneratedSequence[];
  readonly seed: number;
  readonly promptTokens: number;
  /** Those of them that an earlier request had computed. */
  readonly cachedTokens: number;
  /** Tokens computed for this request, over all its sequences. */
  readonly generatedTokens: number;
  readonly timing: Timing;
}

/** A part of the answer that is final. */
export interface TextPiece {
  /** Number of the sequence in the answer. */
  readonly index: number;
  /** Whole characters, never empty. */
  readonly text: string;
}

export interface GenerateOptions {
  /** Aborted: the work stops, its pages come home and the promise rejects with code `cancelled`. */
  readonly signal?: AbortSignal;
  /** Who asks: requests of different clients take turns in the queue. Default "". */
  readonly client?: string;
  /**
   * Called with pieces of text as they become final, all of them before the promise resolves. The pieces of a
   * sequence, joined, are exactly its text, prompt included. Of a beam search only what no live beam can take back.
   */
  readonly onPiece?: (piece: TextPiece) => void;
}

export type GeneratorHealth = EngineHealth;

export type GeneratorStats = EngineStats;

/** What a front needs from a loaded model. Rejects with `GptError`. */
export interface Generator {
  /** @throws GptError `queue_full`, `cancelled`, `timed_out`, `engine_failed` or what the request is refused with. */
  generate(params: GenerationParams, options?: GenerateOptions): Promise<Generation>;
  /** Facts about the loaded checkpoint, for messages and metrics. */
  readonly model: ModelInfo;
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
  readonly parameters: number;
  readonly vocabSize: number;
  /** n_positions: the cap of `max_length`. */
  readonly contextLength: number;
}
