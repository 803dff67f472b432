// The seam between search and scheduling. Every strategy answers a step with a list of (parent, token): a greedy
// sequence continues itself, the first step of n samples continues parent 0 n times, beams come from any parent. The
// scheduler and the KV cache never learn which strategy runs.
import type { LogitsRow } from "../kernels/logits-row.ts";
import { BeamSearch } from "./beam-search.ts";
import { type LogitsProcessor, noRepeatNgram, temperature, topK, topP } from "./logits-processors.ts";
import type { DecodingParams, FinishReason } from "./params.ts";
import { GreedySearch, MultinomialSampling } from "./sampling.ts";

/** What a strategy sees of a live sequence. */
export interface Branch {
  /** Number of the sequence in the answer (sampling) or of the beam. */
  readonly index: number;
  /** Prompt included. */
  readonly tokenIds: readonly number[];
}

/** The live sequence `parent` (its place in the list of branches) goes on with `tokenId` as sequence `index`. */
export interface Continuation {
  readonly parent: number;
  readonly index: number;
  readonly tokenId: number;
}

export interface Hypothesis {
  /** Prompt included; the end-of-text token too, when one came. */
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason;
  /** Beam search only. */
  readonly score?: number;
}

export interface DecodingStrategy {
  /** The largest number of sequences alive at once. */
  readonly width: number;
  /** One step: `rows[i]` are the logits of branch i, and may be overwritten. An empty answer: the request is done. */
  advance(branches: readonly Branch[], rows: readonly LogitsRow[]): Continuation[];
  /**
   * For the first sequences of the answer, in its order, the token ids that can no longer change, given the sequences
   * that `advance` left alive: each is a prefix of what `results` will say. Grows from step to step.
   */
  settled(branches: readonly Branch[]): (readonly number[])[];
  /** The hypotheses in answer order, once the request is done. */
  results(): Hypothesis[];
}

/** What a search needs to know of the checkpoint and the prompt. */
export interface SearchContext {
  readonly promptLength: number;
  readonly eosTokenIds: ReadonlySet<number>;
}

/** Turns parameters into parts, once; nothing in the loop looks at the mode. */
export function makeStrategy(params: DecodingParams, context: SearchContext): DecodingStrategy {
  const { search, noRepeatNgramSize } = params;
  const processors: LogitsProcessor[] = noRepeatNgramSize > 0 ? [noRepeatNgram(noRepeatNgramSize)] : [];
  if (search.kind === "greedy" || (search.kind === "beam" && search.numBeams === 1)) {
    return new GreedySearch(params, processors, context);
  }
  if (search.kind === "beam") return new BeamSearch({ ...params, search }, processors, context);
  if (search.temperature !== 1) processors.push(temperature(search.temperature));
  if (search.topK > 0) processors.push(topK(search.topK));
  if (search.topP < 1) processors.push(topP(search.topP));
  return new MultinomialSampling(params, processors, context);
}
