// Beam search as transformers does it since release 4.50 (`_beam_search` in generation/utils.py), for one prompt:
// scores are sums of f32 log-probabilities, a finished hypothesis keeps its end-of-text token, and its value is the
// sum over the number of new tokens to the power of the length penalty.
import { descending, type LogitsRow, type ScoredToken } from "../kernels/logits-row.ts";
import type { DecodingParams, Search } from "./decoding-params.ts";
import type { LogitsProcessor } from "./logits-processors.ts";
import type { Continuation, DecodingStrategy, Hypothesis, LiveSequence, SearchContext } from "./strategy.ts";

type BeamParams = DecodingParams & { readonly search: Extract<Search, { kind: "beam" }> };

/** The score of a beam that is there for its number only; it surfaces when there are fewer tokens than beams. */
const NEVER = -1e9;

interface Candidate {
  readonly parent: number;
  readonly tokenId: number;
  /** Sum of log-probabilities over the new tokens. */
  readonly score: number;
  /** It ends with this token: end of text, or the last position. */
  readonly stops: boolean;
}

export class BeamSearch implements DecodingStrategy {
  readonly width: number;
  readonly together = true;
  readonly #params: BeamParams;
  readonly #processors: readonly LogitsProcessor[];
  readonly #context: SearchContext;
  /** Summed log-probability of each beam. At first all beams are the prompt, and only the first of them counts. */
  #scores: number[];
  /** Finished hypotheses, best first, at most `width`. */
  #finished: (Hypothesis & { readonly score: number })[] = [];
  /** Beams of which every continuation was banned. They stand as they are, after all hypotheses. */
  readonly #deadEnds: Hypothesis[] = [];

  constructor(params: BeamParams, processors: readonly LogitsProcessor[], context: SearchContext) {
    this.width = params.search.numBeams;
    this.#scores = Array.from({ length: this.width }, (_, beam) => (beam === 0 ? 0 : NEVER));
    this.#params = params;
    this.#processors = processors;
    this.#context = context;
  }

  advance(sequences: readonly LiveSequence[], rows: readonly LogitsRow[]): Continuation[] {
    const length = (sequences[0] as LiveSequence).tokenIds.length + 1; // with the token of this step
    const candidates = this.#candidates(sequences, rows, length);
    this.#finish(sequences, candidates, length);
    const running = candidates.filter((c) => !c.stops).slice(0, this.width);
    this.#scores = running.map((c) => c.score);
    if (running.length === 0 || this.#isDone(length)) return [];
    return running.map(({ parent, tokenId }, index) => ({ parent, index, tokenId }));
  }

  /**
   * What is returned in the end is among the present results, whose ranks only get worse, or descends from a live
   * beam: so what all of these have in common stays. A step never leaves fewer of them than there were, unless
   * there are enough for the answer, so that every place that gets a prefix here is filled in the end.
   */
  settled(sequences: readonly LiveSequence[]): (readonly number[])[] {
    const lines = [...this.results(), ...sequences].map(({ tokenIds }) => tokenIds);
    const count = Math.min(lines.length, this.#params.numReturnSequences);
    return new Array(count).fill(commonPrefix(lines));
  }

  results(): Hypothesis[] {
    return [...this.#finished, ...this.#deadEnds].slice(0, this.#params.numReturnSequences);
  }

  /** The best candidates over all beams, enough that `width` of them go on even if every end-of-text is among them. */
  #candidates(sequences: readonly LiveSequence[], rows: readonly LogitsRow[], length: number): Candidate[] {
    const { eosTokenIds } = this.#context;
    const count = Math.max(2, 1 + eosTokenIds.size) * this.width;
    const best = sequences.map((sequence, parent) => {
      const row = rows[parent] as LogitsRow;
      row.logSoftmax();
      for (const process of this.#processors) process(row, sequence.tokenIds);
      return row.topK(count).filter(({ value }) => value > Number.NEGATIVE_INFINITY);
    });
    const candidates = this.#scores.flatMap((score, beam) => {
      const parent = sequences.length === 1 ? 0 : beam; // In the first step all beams share the prompt's one row.
      const tokens = best[parent] as ScoredToken[];
      const { tokenIds } = sequences[parent] as LiveSequence;
      if (tokens.length === 0) this.#deadEnds.push({ tokenIds, finishReason: "length" });
      return tokens.map(({ tokenId, value }) => ({
        parent,
        tokenId,
        score: Math.fround(score + value),
        stops: eosTokenIds.has(tokenId) || length >= this.#params.maxLength,
      }));
    });
    // Stable: on a tie the lower beam and then the lower token comes first.
    return candidates.sort((a, b) => descending(a.score, b.score)).slice(0, count);
  }

  /** Of the first `width` candidates, those that stop become hypotheses and compete with the older ones. */
  #finish(sequences: readonly LiveSequence[], candidates: readonly Candidate[], length: number): void {
    const added = candidates.slice(0, this.width).filter((c) => c.stops);
    for (const { parent, tokenId, score } of added) {
      this.#finished.push({
        tokenIds: [...(sequences[parent] as LiveSequence).tokenIds, tokenId],
        finishReason: this.#context.eosTokenIds.has(tokenId) ? "stop" : "length",
        score: this.#normalise(score, length),
      });
    }
    this.#finished.sort((a, b) => descending(a.score, b.score));
    this.#finished.length = Math.min(this.#finished.length, this.width);
  }

  /** True when no live beam can still enter the list, as far as its present value tells. */
  #isDone(length: number): boolean {
    if (this.#finished.length < this.width) return false;
    if (this.#params.search.earlyStopping) return true;
    const worst = (this.#finished.at(-1) as { score: number }).score;
    return !(this.#normalise(this.#scores[0] as number, length) > worst);
  }

  #normalise(score: number, length: number): number {
    return Math.fround(score / (length - this.#context.promptLength) ** this.#params.search.lengthPenalty);
  }
}

/** The longest list with which all of `lines` (at least one) begin. */
function commonPrefix(lines: readonly (readonly number[])[]): readonly number[] {
  return lines.reduce((prefix, line) => {
    const end = prefix.findIndex((tokenId, i) => line[i] !== tokenId);
    return end < 0 ? prefix : prefix.slice(0, end);
  });
}
