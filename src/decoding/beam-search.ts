// Beam search for one prompt, as transformers does it since release 4.50 (`_beam_search` in generation/utils.py). A beam's
// score is the sum of its log-probabilities in f32. A finished hypothesis keeps its end-of-text token. Hypotheses are ranked
// by their score divided by (number of new tokens) ^ (length penalty).
import { descending, type LogitsRow, type ScoredToken } from "../kernels/logits-row.ts";
import { type BeamStepTrace, bannedTokens } from "./beam-trace.ts";
import type { DecodingParams, Search } from "./decoding-params.ts";
import type { Endings } from "./endings.ts";
import type { ProcessorChain } from "./processor-chain.ts";
import {
  type Continuation,
  type DecodingStrategy,
  type End,
  extended,
  type Hypothesis,
  type LiveSequence,
  type SettledTokens,
} from "./strategy.ts";
import { logprobOptions, readLogprobs, type TokenLogprobs } from "./token-logprobs.ts";

type BeamParams = DecodingParams & { readonly search: Extract<Search, { kind: "beam" }> };

/**
 * The score of a placeholder. Before the first step all beams are the same prompt, so all but one get this score and lose.
 * A placeholder's candidates are taken only if the vocabulary has fewer tokens than there are beams.
 */
const NEVER = -1e9;

interface Candidate extends Omit<Continuation, "index"> {
  /** Sum of log-probabilities over the new tokens. */
  readonly score: number;
  /** How the text ends with this token. Undefined: it goes on. */
  readonly end: End | undefined;
}

/** A candidate that ended, and the hypothesis made from it. */
interface Ended {
  readonly candidate: Candidate;
  readonly hypothesis: Hypothesis & { readonly score: number };
}

export class BeamSearch implements DecodingStrategy {
  readonly width: number;
  readonly together = true;
  readonly #params: BeamParams;
  readonly #processors: ProcessorChain;
  readonly #endings: Endings;
  /** Summed log-probability of each beam. */
  #scores: number[];
  /** Finished hypotheses, best first, at most `width`. */
  #finished: (Hypothesis & { readonly score: number })[] = [];
  /** Beams for which every continuation was banned. They are returned unchanged, after all hypotheses. */
  readonly #deadEnds: Hypothesis[] = [];
  /** With a trace: the steps since the last `takeTrace`, and the tokens banned in the current step. Otherwise empty. */
  #steps: BeamStepTrace[] = [];
  #banned: BeamStepTrace["banned"][number][] = [];

  constructor(params: BeamParams, processors: ProcessorChain, endings: Endings) {
    this.width = params.search.numBeams;
    this.#scores = Array.from({ length: this.width }, (_, beam) => (beam === 0 ? 0 : NEVER));
    this.#params = params;
    this.#processors = processors;
    this.#endings = endings;
  }

  advance(sequences: readonly LiveSequence[], rows: readonly LogitsRow[]): Continuation[] {
    const length = (sequences[0] as LiveSequence).tokenIds.length + 1; // with the token of this step
    const candidates = this.#candidates(sequences, rows);
    const ended = this.#finish(sequences, candidates, length);
    const running = candidates.filter((c) => !c.end).slice(0, this.width);
    this.#scores = running.map((c) => c.score);
    if (this.#params.trace) this.#record(candidates, running, ended);
    if (running.length === 0 || this.#isDone(length)) return [];
    return running.map(({ parent, tokenId, logprobs }, index) => {
      return { parent, index, tokenId, ...(logprobs && { logprobs }) };
    });
  }

  /**
   * Every text of the final answer is one of the present results or descends from a live beam. So the common prefix of all
   * these is settled. Their number never falls below what the answer needs: each step leaves at least as many of them as
   * before, or enough for the answer. So every place that gets a prefix here is filled in the end.
   */
  settled(sequences: readonly LiveSequence[]): SettledTokens[] {
    const lines: SettledTokens[] = [...this.results(), ...sequences];
    const count = Math.min(lines.length, this.#params.numReturnSequences);
    const tokenIds = commonPrefix(lines.map((line) => line.tokenIds));
    // Sequences that begin with the same tokens have the same log-probabilities for them.
    const logprobs = lines[0]?.logprobs?.slice(0, tokenIds.length - this.#endings.promptLength);
    return new Array(count).fill({ tokenIds, ...(logprobs && { logprobs }) });
  }

  results(): Hypothesis[] {
    return [...this.#finished, ...this.#deadEnds].slice(0, this.#params.numReturnSequences);
  }

  takeTrace(): BeamStepTrace[] {
    const steps = this.#steps;
    this.#steps = [];
    return steps;
  }

  /** Records this step: which candidates went on, which ended, and which were dropped. */
  #record(candidates: readonly Candidate[], running: readonly Candidate[], ended: readonly Ended[]): void {
    const facts = ({ parent, tokenId, score }: Candidate) => ({ parent, tokenId, score });
    const known = new Set([...running, ...ended.map(({ candidate }) => candidate)]);
    this.#steps.push({
      beams: running.map(facts),
      ended: ended.map(({ candidate, hypothesis }) => ({
        ...facts(candidate),
        normalised: hypothesis.score,
        isKept: this.#finished.includes(hypothesis),
      })),
      dropped: candidates.filter((candidate) => !known.has(candidate)).map(facts),
      banned: this.#banned,
    });
    this.#banned = [];
  }

  /** The best candidates of all beams. They are so many that `width` go on even if every possible ending is among them. */
  #candidates(sequences: readonly LiveSequence[], rows: readonly LogitsRow[]): Candidate[] {
    const options = logprobOptions(this.#params);
    const count = Math.max(2, 1 + this.#endings.tokenIds.size) * this.width;
    const readers: ((tokenId: number) => TokenLogprobs)[] = [];
    const best = sequences.map((sequence, parent) => {
      const row = rows[parent] as LogitsRow;
      if (options) readers[parent] = readLogprobs(row, options);
      row.logSoftmax();
      const before = this.#params.trace && row.values.slice();
      this.#processors.apply(row, sequence.tokenIds);
      if (before) this.#banned.push({ beam: parent, tokens: bannedTokens(before, row.values) });
      return row.topK(count).filter(({ value }) => value > Number.NEGATIVE_INFINITY);
    });
    const candidates = this.#scores.flatMap((score, beam) => {
      const parent = sequences.length === 1 ? 0 : beam; // In the first step all beams share one row, the prompt's.
      const tokens = best[parent] as ScoredToken[];
      const { tokenIds, logprobs } = sequences[parent] as LiveSequence;
      if (tokens.length === 0) {
        this.#deadEnds.push({ tokenIds, ...(logprobs && { logprobs }), finishReason: "length" });
      }
      return tokens.map(({ tokenId, value }) => ({ parent, tokenId, score: Math.fround(score + value) }));
    });
    // The sort is stable: on a tie the lower beam comes first, and within a beam the lower token.
    candidates.sort((a, b) => descending(a.score, b.score));
    return candidates.slice(0, count).map((candidate) => {
      const { parent, tokenId } = candidate;
      const logprobs = readers[parent]?.(tokenId);
      const end = this.#endings.endWith((sequences[parent] as LiveSequence).tokenIds, tokenId);
      return { ...candidate, end, ...(logprobs && { logprobs }) };
    });
  }

  /** Turns those of the first `width` candidates that end into hypotheses. Only the best `width` hypotheses are kept. */
  #finish(sequences: readonly LiveSequence[], candidates: readonly Candidate[], length: number): Ended[] {
    const ended = candidates.slice(0, this.width).flatMap((candidate): Ended[] => {
      if (!candidate.end) return [];
      const hypothesis = {
        ...extended(sequences[candidate.parent] as LiveSequence, candidate),
        ...candidate.end,
        score: this.#normalise(candidate.score, length),
      };
      return [{ candidate, hypothesis }];
    });
    this.#finished.push(...ended.map(({ hypothesis }) => hypothesis));
    this.#finished.sort((a, b) => descending(a.score, b.score));
    this.#finished.length = Math.min(this.#finished.length, this.width);
    return ended;
  }

  /**
   * True when the search can stop. With early stopping: as soon as the list is full. Otherwise the best beam's present value must
   * also be no better than the worst in the list.
   */
  #isDone(length: number): boolean {
    if (this.#finished.length < this.width) return false;
    if (this.#params.search.earlyStopping) return true;
    const worst = (this.#finished.at(-1) as { score: number }).score;
    return !(this.#normalise(this.#scores[0] as number, length) > worst);
  }

  #normalise(score: number, length: number): number {
    return Math.fround(score / (length - this.#endings.promptLength) ** this.#params.search.lengthPenalty);
  }
}

/** The longest common prefix of `lines`, of which there is at least one. */
function commonPrefix(lines: readonly (readonly number[])[]): readonly number[] {
  return lines.reduce((prefix, line) => {
    const end = prefix.findIndex((tokenId, i) => line[i] !== tokenId);
    return end < 0 ? prefix : prefix.slice(0, end);
  });
}
