// The state of a request inside the engine. It is born with the request and dies with it.
import type { DecodingParams } from "../decoding/decoding-params.ts";
import type { DecodingStrategy } from "../decoding/strategy.ts";
import { type LogprobOptions, logprobOptions, type TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { ForwardChunk, PageCopy } from "../model/backend.ts";
import type { PromptLookup } from "./prompt-lookup.ts";

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
  /** Of its new tokens, where they are asked for. */
  readonly logprobs?: readonly TokenLogprobs[];
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
  /** Of the prompt's tokens from the second on, as far as it is read; none where they are not asked for. */
  readonly promptLogprobs: TokenLogprobs[];
  /** Of a prompt that is scored: the page that it computes next, if others find it already. See `scored-pages.ts`. */
  pageAhead: number | undefined;
  /** Of each sequence of the answer, the number of tokens that its caller was told of. */
  readonly numReported: number[];
  /** Passes since it was served last. */
  waited: number;
  /** To be done before its next pass. */
  readonly pendingCopies: PageCopy[];
  /** What its text is guessed from, once something was guessed. */
  lookup: PromptLookup | undefined;
}

/** One chunk of a pass and whose it is. */
export interface Planned {
  readonly group: SequenceGroup;
  readonly sequence: Sequence;
  readonly chunk: ForwardChunk;
  /** The last tokens of the chunk, where they are guessed and not the sequence's yet. */
  readonly guesses: readonly number[];
}

/** Rows of logits that a chunk wants. */
export function numLogitRows({ logits, tokenIds }: ForwardChunk): number {
  return { none: 0, last: 1, all: tokenIds.length }[logits];
}

/** Tokens that a sequence has and whose keys and values are still to be computed. */
export function owed(sequence: Sequence): number {
  return sequence.tokenIds.length - sequence.numComputed;
}

/** Whether a prompt is read of which more than the last token is left: that one is like any other new token. */
export function isReading({ live }: SequenceGroup): boolean {
  return live.length === 1 && owed(live[0] as Sequence) > 1;
}

export function promptLength({ request }: SequenceGroup): number {
  return request.promptTokenIds.length;
}

/** Whether the next new token is the first. */
export function isPrompt(group: SequenceGroup): boolean {
  return group.live[0]?.tokenIds.length === promptLength(group);
}

/** Whether a prompt is read of which more than the last token is left, and the logits of all of them are wanted. */
export function readsWithRows(group: SequenceGroup): boolean {
  return wantsAllRows(group) && isPrompt(group) && isReading(group);
}

/** Whether the logits of all tokens of the prompt are wanted, so that each is computed with its row or found with its score. */
export function wantsAllRows({ request }: SequenceGroup): boolean {
  return request.decoding.promptLogprobs === true;
}

/** What a request wants to know of its prompt's tokens. */
export function scoreOptions({ request }: SequenceGroup): LogprobOptions {
  return logprobOptions(request.decoding) ?? { numTop: 0, hasRank: false };
}

/** How many tokens a step of so many sequences chose; the first step chooses one for each sequence or beam. */
export function numChosen(group: SequenceGroup, numSequences: number): number {
  const { request, strategy } = group;
  if (request.decoding.maxLength === request.promptTokenIds.length) return 0;
  return isPrompt(group) ? strategy.width : numSequences;
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

/**
 * The most pages a request can hold at once: full prompt pages are shared by all its sequences, the rest is each
 * sequence's own. The last token of a sequence is never fed back, so it needs no place. Pages that are shared with other
 * requests count in full: whichever of them ends first, the others can pay for what is left.
 */
export function pagesForLife(request: GenerationRequest, width: number, pagePositions: number): number {
  const { promptTokenIds, decoding } = request;
  const total = Math.ceil(Math.max(promptTokenIds.length, decoding.maxLength - 1) / pagePositions);
  const shared = Math.min(total, Math.floor(promptTokenIds.length / pagePositions));
  return shared + width * (total - shared);
}
