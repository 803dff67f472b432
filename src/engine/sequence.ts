// The state of a request inside the engine. It is created with the request and dropped with it.
import type { DecodingParams } from "../decoding/decoding-params.ts";
import type { DecodingStrategy } from "../decoding/strategy.ts";
import { type LogprobOptions, logprobOptions, type TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { ForwardChunk, PageCopy } from "../model/backend.ts";
import type { PromptLookup } from "./prompt-lookup.ts";

/** A request as the engine sees it: integers only, no text. */
export interface GenerationRequest {
  readonly id: number;
  /** At least one token. */
  readonly promptTokenIds: readonly number[];
  readonly decoding: DecodingParams;
  /** The client's number. Clients take turns. */
  readonly client: number;
  /** True: newly settled tokens are reported after each pass. */
  readonly streams: boolean;
}

/** One line of tokens with its keys and values. */
export interface Sequence {
  readonly index: number;
  readonly tokenIds: readonly number[];
  /** Of its new tokens, if the request asks for them. */
  readonly logprobs?: readonly TokenLogprobs[];
  /** Number of tokens whose keys and values are in the pages. The others are still owed. */
  numComputed: number;
  readonly pages: number[];
}

/** All sequences of one request. */
export interface SequenceGroup {
  readonly request: GenerationRequest;
  readonly strategy: DecodingStrategy;
  /** Number of pages reserved for its whole life. */
  readonly reservedPages: number;
  /** The live sequences. One while the prompt is computed, then as many as the strategy decides. */
  live: Sequence[];
  /** Prompt tokens whose keys and values were found in the prefix cache. */
  cachedTokens: number;
  /** Of the prompt's tokens computed so far, from the second on. Empty if the request does not ask for them. */
  readonly promptLogprobs: TokenLogprobs[];
  /** For a prompt that is scored: the page it computes next, if that page is cached already. See `scored-pages.ts`. */
  pageAhead: number | undefined;
  /** For each sequence of the answer: how many of its tokens have been reported. */
  readonly numReported: number[];
  /** Number of passes since it was last served. */
  waited: number;
  /** Copies of pages to make before its next pass. */
  readonly pendingCopies: PageCopy[];
  /** The index for guessing. Undefined until the first guess. */
  lookup: PromptLookup | undefined;
}

/** One chunk of a pass, with its request and sequence. */
export interface Planned {
  readonly group: SequenceGroup;
  readonly sequence: Sequence;
  readonly chunk: ForwardChunk;
  /** The guessed tokens, which are the last ones of the chunk and not part of the sequence yet. */
  readonly guesses: readonly number[];
}

/** Number of rows of logits that a chunk needs. */
export function numLogitRows({ logits, tokenIds }: ForwardChunk): number {
  return { none: 0, last: 1, all: tokenIds.length }[logits];
}

/** Number of tokens of a sequence whose keys and values are still to be computed. */
export function owed(sequence: Sequence): number {
  return sequence.tokenIds.length - sequence.numComputed;
}

/** Whether more than the last token of a prompt is still to be computed. The last one is treated like any new token. */
export function isReading({ live }: SequenceGroup): boolean {
  return live.length === 1 && owed(live[0] as Sequence) > 1;
}

export function promptLength({ request }: SequenceGroup): number {
  return request.promptTokenIds.length;
}

/** Whether no new token has been chosen yet. */
export function isPrompt(group: SequenceGroup): boolean {
  return group.live[0]?.tokenIds.length === promptLength(group);
}

/** Like `isReading`, for a prompt of which the logits of all tokens are wanted. */
export function readsWithRows(group: SequenceGroup): boolean {
  return wantsAllRows(group) && isPrompt(group) && isReading(group);
}

/** Whether the request wants the scores of its prompt, so that every token needs its row of logits or a cached score. */
export function wantsAllRows({ request }: SequenceGroup): boolean {
  return request.decoding.promptLogprobs === true;
}

/** The options for the scores of the prompt. */
export function scoreOptions({ request }: SequenceGroup): LogprobOptions {
  return logprobOptions(request.decoding) ?? { numTop: 0, hasRank: false };
}

/** How many new tokens a step with `numSequences` sequences chose. The first step chooses one for each sequence or beam. */
export function numChosen(group: SequenceGroup, numSequences: number): number {
  const { request, strategy } = group;
  if (request.decoding.maxLength === request.promptTokenIds.length) return 0;
  return isPrompt(group) ? strategy.width : numSequences;
}

/** The most tokens that a request may need: its prompt once, and the new tokens of each sequence that is computed. */
export function tokensForLife(
  promptLength: number,
  { search, maxLength, numReturnSequences }: DecodingParams,
): number {
  const sampled = search.kind === "sample" ? numReturnSequences : 1;
  const width = search.kind === "beam" ? search.numBeams : sampled;
  return promptLength + width * (maxLength - promptLength);
}

/**
 * The most pages that a request can hold at once. Full pages of the prompt are shared by all its sequences; all other pages
 * belong to one sequence. The last token of a sequence is never fed to the model, so it needs no position. Pages shared with
 * other requests count in full, so the reservations still suffice when one of these requests ends.
 */
export function pagesForLife(request: GenerationRequest, width: number, pagePositions: number): number {
  const { promptTokenIds, decoding } = request;
  const total = Math.ceil(Math.max(promptTokenIds.length, decoding.maxLength - 1) / pagePositions);
  const shared = Math.min(total, Math.floor(promptTokenIds.length / pagePositions));
  return shared + width * (total - shared);
}
