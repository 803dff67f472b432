// Computes in the page what temperature, top-k, top-p and min-p leave of the next token's distribution. It applies the reference operations
// that define a request's sampling, so exactly the tokens of a request are left.
import { type SamplingFilters, samplingFilters } from "../../decoding/logits-processors.ts";
import type { NextToken } from "../../dialects/playground/events.ts";
import { PlainLogitsRow } from "../../kernels/reference/plain-logits-row.ts";

export type Filters = Required<SamplingFilters>;

/** Values without an effect. */
export const NO_FILTERS: Filters = { temperature: 1, topK: 0, topP: 1, minP: 0 };

export interface Filtered {
  /** Token id → probability among the tokens that are left. Removed tokens are not in it. */
  readonly probabilities: ReadonlyMap<number, number>;
  /** Entropy in bits: −Σ p log2 p. */
  readonly entropyBits: number;
  /** Perplexity, 2^entropy: as uncertain as a draw among this number of equally likely tokens. */
  readonly perplexity: number;
}

/** The logits of an answer, [vocab], with those that penalties, biases and bans changed. */
export function logitsOf({ logits, changed }: Pick<NextToken, "logits" | "changed">): Float32Array {
  const binary = atob(logits);
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const row = Float32Array.from({ length: bytes.length / 4 }, (_, id) => view.getFloat32(4 * id, true));
  for (const [id, logit] of changed) row[id] = logit ?? Number.NEGATIVE_INFINITY;
  return row;
}

export function filtered(logits: Float32Array, filters: Filters): Filtered {
  const row = new PlainLogitsRow(logits.slice());
  for (const [, process] of samplingFilters(filters)) process(row, []);
  const { tokenIds, cumulative } = row.distribution();
  const total = cumulative.at(-1) ?? 1;
  const probabilities = new Map<number, number>();
  let entropyBits = 0;
  for (const [i, id] of tokenIds.entries()) {
    const p = ((cumulative[i] as number) - (cumulative[i - 1] ?? 0)) / total;
    probabilities.set(id, p);
    if (p > 0) entropyBits -= p * Math.log2(p);
  }
  return { probabilities, entropyBits, perplexity: 2 ** entropyBits };
}
