// What the engine needs from a model: token ids and pages in, logits out. The memory of keys and values belongs to the backend.
// The engine knows which sequence owns which page. Both name a page by its number.
import type { LogitsRow } from "../kernels/logits-row.ts";

/** Consecutive tokens of one sequence. Their keys and values are stored in `pages`, from `position` on. */
export interface ForwardChunk {
  /** Page numbers of the sequence, in order. They cover all positions up to the end of this chunk. */
  readonly pages: readonly number[];
  /** Position of the first token. All earlier positions have been computed. */
  readonly position: number;
  readonly tokenIds: readonly number[];
  /** After which of the chunk's tokens the logits of the next token are wanted. */
  readonly logits: "none" | "last" | "all";
}

export interface PageCopy {
  readonly from: number;
  readonly to: number;
}

export interface ForwardBatch {
  /** Copied before the pass. No page is both source and target. */
  readonly copies: readonly PageCopy[];
  readonly chunks: readonly ForwardChunk[];
}

export interface BackendLimits {
  readonly vocabSize: number;
  readonly contextLength: number;
  /** The number of pages, and of positions in each. */
  readonly pages: number;
  readonly pagePositions: number;
  /** The most tokens of one pass, and the most rows of logits. */
  readonly maxBatchTokens: number;
  readonly maxLogitRows: number;
}

/**
 * The defaults. The tokens are enough to use the kernels well, but not so many that a long prompt makes others wait. The rows of
 * logits are enough for the widest request.
 */
export const DEFAULT_PASS = { tokens: 128, rows: 64 } as const;

export interface Backend {
  readonly limits: BackendLimits;
  /** Rows of logits, [vocabSize] each, in the order of the chunks. Valid until the next call. */
  forward(batch: ForwardBatch): LogitsRow[];
  close(): Promise<void>;
}
