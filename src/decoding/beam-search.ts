// Beam search as transformers does it since release 4.50 (`_beam_search` in generation/utils.py), for one prompt:
// scores are sums of f32 log-probabilities, a finished hypothesis keeps its end-of-text token, and its value is the
// sum over the number of new tokens to the power of the length penalty.
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

/** The score of a beam that is there for its number only; it surfaces when there are fewer tokens than beams. */
const NEVER = -1e9;

interface Candidate extends Omit<Continuation, "index"> {
  /** Sum of log-probabilities over the new tokens. */
  readonly score: number;
  /** It ends with this token. */
  readonly end: End | undefined;
}

/** A candidate that ended, and the hypothesis that it became. */
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
  /** Summed log-probability of each beam. At first all beams are the prompt, and only the first of them counts. */
  #scores: number[];
  /** Finished hypotheses, best first, at most `width`. */
  #finished: (Hypothesis & { readonly score: number })[] = [];
  /** Beams of which every continuation was banned. They stand as they are, after all hypotheses. */
  readonly #deadEnds: Hypothesis[] = [];
  /** Steps that nobody has taken yet, and what was banned in the present one; both stay empty without a trace. */
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
   * What is returned in the end is among the present results, whose ranks only get worse, or descends from a live
   * beam: so what all of these have in common stays. A step never leaves fewer of them than there were, unless
   * there are enough for the answer, so that every place that gets a prefix here is filled in the end.
   */
  settled(sequences: readonly LiveSequence[]): SettledTokens[] {
    const lines: SettledTokens[] = [...this.results(), ...sequences];
    const count = Math.min(lines.length, this.#params.numReturnSequences);
    const tokenIds = commonPrefix(lines.map((line) => line.tokenIds));
    // Sequences with the same tokens have the same rows, and so the same numbers.
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

  /** Of a candidate that ended it keeps what became of it; all others went on or were dropped. */
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

  /** The best candidates over all beams, enough that `width` of them go on even if every end-of-text is among them. */
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
      const parent = sequences.length === 1 ? 0 : beam; // In the first step all beams share the prompt's one row.
      const tokens = best[parent] as ScoredToken[];
      const { tokenIds, logprobs } = sequences[parent] as LiveSequence;
      if (tokens.length === 0) {
        this.#deadEnds.push({ tokenIds, ...(logprobs && { logprobs }), finishReason: "length" });
      }
      return tokens.map(({ tokenId, value }) => ({ parent, tokenId, score: Math.fround(score + value) }));
    });
    // Stable: on a tie the lower beam and then the lower token comes first.
    candidates.sort((a, b) => descending(a.score, b.score));
    return candidates.slice(0, count).map((candidate) => {
      const { parent, tokenId } = candidate;
      const logprobs = readers[parent]?.(tokenId);
      const end = this.#endings.endWith((sequences[parent] as LiveSequence).tokenIds, tokenId);
      return { ...candidate, end, ...(logprobs && { logprobs }) };
    });
  }

  /** Of the first `width` candidates, those that end become hypotheses and compete with the older ones. */
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

  /** True when no live beam can still enter the list, as far as its present value tells. */
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

/** The longest list with which all of `lines` (at least one) begin. */
function commonPrefix(lines: readonly (readonly number[])[]): readonly number[] {
  return lines.reduce((prefix, line) => {
    const end = prefix.findIndex((tokenId, i) => line[i] !== tokenId);
    return end < 0 ? prefix : prefix.slice(0, end);
  });
}
