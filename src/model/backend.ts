// What the engine needs from a model: token ids and pages in, logits out. KV memory belongs to the backend, the
// bookkeeping of who owns which page to the engine; they meet in page numbers.
import type { LogitsRow } from "../kernels/logits-row.ts";

/** Consecutive tokens of one sequence; their keys and values go to `pages` from `position` on. */
export interface ForwardChunk {
  /** Page numbers of the sequence, in order; they cover all positions up to the end of this chunk. */
  readonly pages: readonly number[];
  /** Position of the first token. All earlier positions have been computed. */
  readonly position: number;
  readonly tokenIds: readonly number[];
  /** For which of the chunk's tokens the next token's logits are wanted. */
  readonly logits: "none" | "last" | "all";
}

export interface PageCopy {
  readonly from: number;
  readonly to: number;
}

export interface ForwardBatch {
  /** Done before the pass. No page is both source and target. */
  readonly copies: readonly PageCopy[];
  readonly chunks: readonly ForwardChunk[];
}

export interface BackendLimits {
  readonly vocabSize: number;
  readonly contextLength: number;
  /** Pages there are, and positions in each. */
  readonly pages: number;
  readonly pagePositions: number;
  /** Tokens in one pass, and rows of logits out of it. */
  readonly maxBatchTokens: number;
  readonly maxLogitRows: number;
}

/**
 * Room of a pass where nobody asks for another: enough tokens to fill the kernels, few enough that a long prompt does not
 * hold up its neighbours; rows of logits for the widest request.
 */
export const DEFAULT_PASS = { tokens: 128, rows: 64 } as const;

export interface Backend {
  readonly limits: BackendLimits;
  /** Rows of logits, [vocabSize] each, in the order of the chunks; valid until the next call. */
  forward(batch: ForwardBatch): LogitsRow[];
  close(): Promise<void>;
}
