// The seam between search and scheduling. Every strategy answers a step with a list of (parent, token): a greedy
// sequence continues itself, the first step of n samples continues parent 0 n times, beams come from any parent. The
// scheduler and the KV cache never learn which strategy runs.
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { BeamStepTrace } from "./beam-trace.ts";
import type { FinishReason } from "./decoding-params.ts";
import type { TokenLogprobs } from "./token-logprobs.ts";

/** What a strategy sees of a live sequence. */
export interface LiveSequence {
  /** Number of the sequence in the answer (sampling) or of the beam. */
  readonly index: number;
  /** Prompt included. */
  readonly tokenIds: readonly number[];
  /** Of its new tokens, where they are asked for. */
  readonly logprobs?: readonly TokenLogprobs[];
}

/** The live sequence `parent` (its place in the list of sequences) goes on with `tokenId` as sequence `index`. */
export interface Continuation {
  readonly parent: number;
  readonly index: number;
  readonly tokenId: number;
  /** Where they are asked for. */
  readonly logprobs?: TokenLogprobs;
}

/** Tokens of one sequence that can no longer change. */
export type SettledTokens = Omit<LiveSequence, "index">;

/** What the caller named, and the sequence ended with. */
export type Stop =
  | { readonly kind: "token"; readonly tokenId: number }
  | {
      readonly kind: "string";
      /** Which of the stop strings. */
      readonly index: number;
      /** Bytes of the new tokens that stand before it. */
      readonly keptBytes: number;
    };

export interface End {
  readonly finishReason: FinishReason;
  /** Absent where an end-of-text token or the length ended it. */
  readonly stop?: Stop;
}

export interface Hypothesis extends End {
  /** Prompt included; the end-of-text token or stop token too, when one came. */
  readonly tokenIds: readonly number[];
  /** Of its new tokens, where they are asked for. */
  readonly logprobs?: readonly TokenLogprobs[];
  /** Beam search only. */
  readonly score?: number;
  /** Where it is asked for: the logits behind the prompt. */
  readonly next?: NextLogits;
}

export interface NextLogits {
  /** As the model gave them, [vocab]. */
  readonly logits: Float32Array;
  /** What the processors make of some of them. */
  readonly changed: readonly (readonly [tokenId: number, logit: number])[];
}

export interface DecodingStrategy {
  /** The largest number of sequences alive at once. */
  readonly width: number;
  /** True: every step takes all live sequences, since they compete. False: each may go on by itself. */
  readonly together: boolean;
  /**
   * One step of some live sequences, or of all: `rows[i]` are the logits of sequence i, and may be overwritten. The answer
   * takes the place of these sequences; when none is left alive the request is done.
   */
  advance(sequences: readonly LiveSequence[], rows: readonly LogitsRow[]): Continuation[];
  /**
   * For the first sequences of the answer, in its order, the tokens that can no longer change, prompt included, given the
   * sequences that `advance` left alive: each is a prefix of what `results` will say. Grows from step to step.
   */
  settled(sequences: readonly LiveSequence[]): SettledTokens[];
  /** The hypotheses in answer order, once the request is done. */
  results(): Hypothesis[];
  /** Beam search with a trace: the steps since the last call. */
  takeTrace?(): BeamStepTrace[];
}

/** What a search needs to know of the checkpoint and the prompt. */
export interface SearchContext {
  readonly promptLength: number;
  readonly eosTokenIds: ReadonlySet<number>;
}

/** A sequence with one more token. */
export function extended(
  { tokenIds, logprobs }: SettledTokens,
  next: Pick<Continuation, "tokenId" | "logprobs">,
): SettledTokens {
  return {
    tokenIds: [...tokenIds, next.tokenId],
    ...(next.logprobs && { logprobs: [...(logprobs ?? []), next.logprobs] }),
  };
}
