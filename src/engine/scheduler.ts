// Decides what goes into the next pass and what its logits mean for every request. It does no I/O, reads no clock,
// never looks inside a row of logits and does not know what a beam is. There is no prefill and no decode phase: every
// sequence owes the tokens that are not computed yet, a prompt simply many of them.
import type { Continuation, DecodingStrategy, Hypothesis } from "../decoding/strategy.ts";
import { GptError } from "../errors.ts";
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { BackendLimits, ForwardBatch, ForwardChunk } from "../model/backend.ts";
import { FairQueue } from "./fair-queue.ts";
import { PagePool } from "./page-pool.ts";
import { type GenerationRequest, owed, type Sequence, type SequenceGroup } from "./sequence.ts";

/** One chunk of the pass and whose it is. */
interface Planned {
  readonly group: SequenceGroup;
  readonly sequence: Sequence;
  readonly chunk: ForwardChunk;
}

/** Room that is left in a pass. */
interface Room {
  tokens: number;
  logitRows: number;
}

export interface FinishedRequest {
  readonly request: GenerationRequest;
  readonly hypotheses: readonly Hypothesis[];
  /** Prompt tokens whose keys and values were found, not computed. */
  readonly cachedTokens: number;
}

/** Tokens that are settled since the last pass, for the first sequences of the answer, in its order. */
export interface Progress {
  readonly id: number;
  readonly tokenIds: readonly (readonly number[])[];
}

/** What a pass did. */
export interface PassResult {
  /** Rows of the pass. */
  readonly numTokens: number;
  /** New tokens that were chosen: one for each sequence or beam. */
  readonly numGenerated: number;
  /** Tokens of the prompts in `prefilled`, and how many of them were found in the prefix cache. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Ids of requests of which this was the first pass. */
  readonly started: readonly number[];
  /** Ids of requests whose prompt is read, so that their first new token is there. */
  readonly prefilled: readonly number[];
  readonly progress: readonly Progress[];
  readonly finished: readonly FinishedRequest[];
}

export interface EngineOptions {
  /** Full pages stay findable for later prompts until their memory is needed. */
  readonly prefixCache: boolean;
}

export class Scheduler {
  readonly pool: PagePool;
  readonly #limits: BackendLimits;
  readonly #waiting = new FairQueue<SequenceGroup>();
  /** Those served longest ago come first. */
  #running: SequenceGroup[] = [];
  #planned: Planned[] = [];

  constructor(limits: BackendLimits, options: EngineOptions) {
    this.#limits = limits;
    this.pool = new PagePool(limits.pages, options);
  }

  get numWaiting(): number {
    return this.#waiting.length;
  }

  get numRunning(): number {
    return this.#running.length;
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#running.length === 0;
  }

  /** @throws GptError `request_too_large` when the request could never be admitted. */
  add(request: GenerationRequest, strategy: DecodingStrategy): void {
    const reservedPages = pagesForLife(request, strategy.width, this.#limits.pagePositions);
    if (reservedPages > this.pool.size) {
      const message =
        `the request needs ${reservedPages} pages of KV cache for ${strategy.width} sequences of up to ` +
        `${request.decoding.maxLength} tokens, and there are ${this.pool.size}`;
      throw new GptError("request_too_large", message);
    }
    if (strategy.width > this.#limits.maxLogitRows) {
      const message = `the request needs ${strategy.width} sequences at once, at most ${this.#limits.maxLogitRows} fit`;
      throw new GptError("request_too_large", message);
    }
    const prompt: Sequence = { index: 0, tokenIds: request.promptTokenIds, numComputed: 0, pages: [] };
    const numTold = new Array<number>(request.decoding.numReturnSequences).fill(prompt.tokenIds.length);
    this.#waiting.push(request.client, {
      ...{ request, strategy, reservedPages, numTold, live: [prompt], pendingCopies: [], cachedTokens: 0 },
    });
  }

  /** Forgets a request and takes its pages back. Unknown ids are ignored: it may have finished meanwhile. */
  abort(id: number): void {
    this.#waiting.remove((group) => group.request.id === id);
    const running = this.#running.find((group) => group.request.id === id);
    if (running) this.#retire(running);
  }

  /** The next pass: running requests, longest unserved first, then new ones as long as there is room. */
  schedule(): ForwardBatch {
    this.#admit();
    const room = { tokens: this.#limits.maxBatchTokens, logitRows: this.#limits.maxLogitRows };
    // Single tokens first, so that a long prompt takes only what they leave.
    const [prompts, decodes] = partition(this.#running, (group) => group.live.some((s) => owed(s) > 1));
    this.#planned = [...decodes, ...prompts].flatMap((group) => this.#plan(group, room));
    const served = new Set(this.#planned.map(({ group }) => group));
    const [first, last] = partition(this.#running, (group) => !served.has(group));
    this.#running = [...first, ...last];
    const copies = last.flatMap((group) => group.pendingCopies);
    for (const group of last) group.pendingCopies = [];
    return { copies, chunks: this.#planned.map(({ chunk }) => chunk) };
  }

  /** Takes the logits of the scheduled pass, in its order. */
  update(logits: readonly LogitsRow[]): PassResult {
    const planned = this.#planned;
    this.#planned = [];
    const rows = new Map<Sequence, LogitsRow>();
    let next = 0;
    for (const { sequence, chunk } of planned) {
      sequence.numComputed += chunk.tokenIds.length;
      this.#keepFullPages(sequence, chunk.position);
      if (chunk.logits === "last") rows.set(sequence, logits[next++] as LogitsRow);
    }
    let numGenerated = 0;
    const finished: FinishedRequest[] = [];
    const progress: Progress[] = [];
    for (const group of new Set(planned.map((one) => one.group))) {
      if (!group.live.every((sequence) => rows.has(sequence))) continue;
      numGenerated += isPrompt(group) ? group.strategy.width : group.live.length;
      const continuations = group.strategy.advance(
        group.live,
        group.live.map((sequence) => rows.get(sequence) as LogitsRow),
      );
      if (continuations.length > 0) {
        this.#branch(group, continuations);
        if (group.request.streams) progress.push(news(group));
      } else {
        const { request, cachedTokens } = group;
        finished.push({ request, hypotheses: group.strategy.results(), cachedTokens });
        this.#retire(group);
      }
    }
    const groupsOf = (test: (one: Planned) => boolean) => planned.filter(test).map(({ group }) => group);
    const started = groupsOf(({ group, chunk }) => chunk.position === group.cachedTokens);
    const prefilled = groupsOf(({ group, chunk }) => {
      return chunk.position + chunk.tokenIds.length === group.request.promptTokenIds.length;
    });
    return {
      numTokens: sum(planned, ({ chunk }) => chunk.tokenIds.length),
      numGenerated,
      promptTokens: sum(prefilled, ({ request }) => request.promptTokenIds.length),
      cachedTokens: sum(prefilled, ({ cachedTokens }) => cachedTokens),
      started: started.map(({ request }) => request.id),
      prefilled: prefilled.map(({ request }) => request.id),
      progress: progress.filter(({ tokenIds }) => tokenIds.some((ids) => ids.length > 0)),
      finished,
    };
  }

  /** Admits waiting requests in turn; the head of the queue is never overtaken. */
  #admit(): void {
    for (;;) {
      const { head } = this.#waiting;
      if (!head || !this.pool.reserve(head.reservedPages)) return;
      this.#waiting.shift();
      this.#running.push(head);
    }
  }

  /** The chunks of one request: all its sequences or, when they do not fit, none. A prompt takes what room there is. */
  #plan(group: SequenceGroup, room: Room): Planned[] {
    const { live } = group;
    if (live.length > room.logitRows || live.length > room.tokens) return [];
    return live.map((sequence) => {
      this.#reuse(group, sequence);
      const count = Math.min(owed(sequence), room.tokens);
      const end = sequence.numComputed + count;
      const isLast = end === sequence.tokenIds.length;
      room.tokens -= count;
      if (isLast) room.logitRows -= 1;
      while (sequence.pages.length * this.#limits.pagePositions < end)
        sequence.pages.push(this.pool.allocate());
      const chunk: ForwardChunk = {
        pages: sequence.pages,
        position: sequence.numComputed,
        tokenIds: sequence.tokenIds.slice(sequence.numComputed, end),
        logits: isLast ? "last" : "none",
      };
      return { group, sequence, chunk };
    });
  }

  /**
   * Takes over pages that hold what the sequence owes next. The last page it computes itself, however little of it: its
   * logits are wanted.
   */
  #reuse(group: SequenceGroup, sequence: Sequence): void {
    const { pagePositions } = this.#limits;
    if (sequence.pages.length * pagePositions > sequence.numComputed) return;
    for (;;) {
      const end = sequence.numComputed + pagePositions;
      if (end >= sequence.tokenIds.length) return;
      const page = this.pool.find(sequence.pages.at(-1), sequence.tokenIds.slice(sequence.numComputed, end));
      if (page === undefined) return;
      sequence.pages.push(page);
      sequence.numComputed = end;
      group.cachedTokens += pagePositions;
    }
  }

  /** Makes the pages findable that were filled since position `from`. */
  #keepFullPages({ tokenIds, numComputed, pages }: Sequence, from: number): void {
    const { pagePositions } = this.#limits;
    const numFull = Math.floor(numComputed / pagePositions);
    for (let i = Math.floor(from / pagePositions); i < numFull; i++) {
      const own = tokenIds.slice(i * pagePositions, (i + 1) * pagePositions);
      pages[i] = this.pool.publish(pages[i] as number, pages[i - 1], own);
    }
  }

  /** Turns continuations into sequences: the first child of a parent inherits its pages, further ones fork. */
  #branch(group: SequenceGroup, continuations: readonly Continuation[]): void {
    const parents = group.live;
    const hasChild = new Set(continuations.map((c) => c.parent));
    // Childless sequences go first: their pages may be needed for the forks.
    for (const [i, parent] of parents.entries()) if (!hasChild.has(i)) this.#releasePages(parent);
    const heirs = new Set<number>();
    group.live = continuations.map(({ parent: i, index, tokenId }) => {
      const parent = parents[i] as Sequence;
      const pages = heirs.has(i) ? this.#fork(group, parent) : parent.pages;
      heirs.add(i);
      return { index, tokenIds: [...parent.tokenIds, tokenId], numComputed: parent.numComputed, pages };
    });
  }

  /** Shares the full pages and orders a copy of the last, incomplete one: at most one page a fork. */
  #fork(group: SequenceGroup, parent: Sequence): number[] {
    const full = Math.floor(parent.numComputed / this.#limits.pagePositions);
    const pages = parent.pages.slice(0, full);
    for (const page of pages) this.pool.addOwner(page);
    if (parent.numComputed > full * this.#limits.pagePositions) {
      const copy = this.pool.allocate();
      group.pendingCopies.push({ from: parent.pages[full] as number, to: copy });
      pages.push(copy);
    }
    return pages;
  }

  /** The one place where a running request's pages come home. */
  #retire(group: SequenceGroup): void {
    for (const sequence of group.live) this.#releasePages(sequence);
    this.pool.unreserve(group.reservedPages);
    this.#running = this.#running.filter((other) => other !== group);
  }

  #releasePages(sequence: Sequence): void {
    for (const page of sequence.pages.toReversed()) this.pool.release(page);
  }
}

/**
 * The most pages a request can hold at once: full prompt pages are shared by all its sequences, the rest is each
 * sequence's own. The last token of a sequence is never fed back, so it needs no place. Pages that are shared with other
 * requests count in full: whichever of them ends first, the others can pay for what is left.
 */
function pagesForLife(request: GenerationRequest, width: number, pagePositions: number): number {
  const { promptTokenIds, decoding } = request;
  const total = Math.ceil(Math.max(promptTokenIds.length, decoding.maxLength - 1) / pagePositions);
  const shared = Math.min(total, Math.floor(promptTokenIds.length / pagePositions));
  return shared + width * (total - shared);
}

/** What is settled and was not told yet; it is told now. */
function news({ request, strategy, live, numTold }: SequenceGroup): Progress {
  const tokenIds = strategy.settled(live).map((ids, index) => {
    const told = numTold[index] as number;
    numTold[index] = ids.length;
    return ids.slice(told);
  });
  return { id: request.id, tokenIds };
}

/** Whether the next new token is the first. */
function isPrompt({ request, live }: SequenceGroup): boolean {
  return live[0]?.tokenIds.length === request.promptTokenIds.length;
}

function sum<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((total, item) => total + numberOf(item), 0);
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [yes: T[], no: T[]] {
  const yes: T[] = [];
  const no: T[] = [];
  for (const item of items) (test(item) ? yes : no).push(item);
  return [yes, no];
}
