// The types at the border between the service and its callers (server and CLI): text in, texts out.
import type { DecodingParams, FinishReason } from "../decoding/params.ts";

/** A request after its fields were checked (see `src/params.ts`); lengths are still to be compared with the prompt. */
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
  /** Tokens computed for this request, over all its sequences. */
  readonly generatedTokens: number;
}

/** What a front needs from a loaded model. Rejects with `GptError`. */
export interface Generator {
  /** `signal` aborted: the work stops, its pages come home and the promise rejects with code `cancelled`. */
  generate(params: GenerationParams, signal?: AbortSignal): Promise<Generation>;
  /** Facts about the loaded checkpoint, for messages and metrics. */
  readonly model: ModelInfo;
  close(): Promise<void>;
}

export interface ModelInfo {
  readonly name: string;
  readonly precision: string;
  readonly parameters: number;
  readonly vocabSize: number;
  /** n_positions: the cap of `max_length`. */
  readonly contextLength: number;
}
