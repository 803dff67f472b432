// The state of a request inside the engine. It is born with the request and dies with it.
import type { DecodingParams } from "../decoding/decoding-params.ts";
import type { DecodingStrategy } from "../decoding/strategy.ts";
import type { PageCopy } from "../model/backend.ts";

/** What the engine is asked: integers only. */
export interface GenerationRequest {
  readonly id: number;
  /** At least one. */
  readonly promptTokenIds: readonly number[];
  readonly decoding: DecodingParams;
  /** Requests of the same number are one client's; those of different clients take turns. */
  readonly client: number;
  /** True: new tokens are told after each pass, as far as they are settled. */
  readonly streams: boolean;
}

/** One line of tokens whose keys and values are kept. */
export interface Sequence {
  readonly index: number;
  readonly tokenIds: readonly number[];
  /** Tokens whose keys and values are in the pages; the others are owed. */
  numComputed: number;
  readonly pages: number[];
}

/** All sequences of one request. */
export interface SequenceGroup {
  readonly request: GenerationRequest;
  readonly strategy: DecodingStrategy;
  /** Pages promised to it for its whole life. */
  readonly reservedPages: number;
  /** One while the prompt is read, then as the strategy decides. */
  live: Sequence[];
  /** Prompt tokens whose keys and values were found, not computed. */
  cachedTokens: number;
  /** Of each sequence of the answer, the number of tokens that its caller was told of. */
  readonly numReported: number[];
  /** To be done before its next pass. */
  pendingCopies: PageCopy[];
}

/** Tokens that a sequence has and whose keys and values are still to be computed. */
export function owed(sequence: Sequence): number {
  return sequence.tokenIds.length - sequence.numComputed;
}

/** Whether a prompt is read of which more than the last token is left: that one is like any other new token. */
export function isReading({ live }: SequenceGroup): boolean {
  return live.length === 1 && owed(live[0] as Sequence) > 1;
}

/** The tokens a request may need: its prompt once, and the new ones of each sequence that is computed. */
export function tokensForLife(
  promptLength: number,
  { search, maxLength, numReturnSequences }: DecodingParams,
): number {
  const sampled = search.kind === "sample" ? numReturnSequences : 1;
  const width = search.kind === "beam" ? search.numBeams : sampled;
  return promptLength + width * (maxLength - promptLength);
}
