// Decides what goes into the next pass and what its logits mean for every request. It does no I/O, reads no clock,
// never looks inside a row of logits and does not know what a beam is. There is no prefill and no decode phase: every
// sequence owes the tokens that are not computed yet, a prompt simply many of them.
import { type Continuation, type DecodingStrategy, extended } from "../decoding/strategy.ts";
import { GptError } from "../errors.ts";
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { BackendLimits, ForwardBatch, ForwardChunk } from "../model/backend.ts";
import { FairQueue } from "./fair-queue.ts";
import { PagePool } from "./page-pool.ts";
import { type Demand, planPass, rowsMax } from "./pass-plan.ts";
import type { FailedRequest, FinishedRequest, PassResult, Progress } from "./pass-result.ts";
import { takePromptLogprobs, takeSettled, takeSteps } from "./progress.ts";
import {
  type GenerationRequest,
  isPrompt,
  isReading,
  owed,
  pagesForLife,
  readsWithRows,
  type Sequence,
  type SequenceGroup,
  tokensForLife,
  wantsAllRows,
} from "./sequence.ts";

/** One chunk of the pass and whose it is. */
interface Planned {
  readonly group: SequenceGroup;
  readonly sequence: Sequence;
  readonly chunk: ForwardChunk;
}

/** What a pass meant for its requests. */
interface GroupNews {
  numGenerated: number;
  readonly finished: FinishedRequest[];
  readonly failed: FailedRequest[];
  readonly progress: Progress[];
}

/** How often a request that waits for pages may be overtaken by others that fit. */
const OVERTAKEN_MAX = 16;

export interface EngineOptions {
  /** Full pages stay findable for later prompts until their memory is needed. */
  readonly prefixCache: boolean;
}

export class Scheduler {
  readonly pool: PagePool;
  readonly #limits: BackendLimits;
  readonly #waiting = new FairQueue<SequenceGroup>();
  /** The request whose turn it is to be admitted, taken off the queue, while there are not enough pages for it. */
  #next: { readonly group: SequenceGroup; overtaken: number } | undefined;
  /** Those served longest ago come first. */
  #running: SequenceGroup[] = [];
  #planned: Planned[] = [];

  constructor(limits: BackendLimits, options: EngineOptions) {
    this.#limits = limits;
    this.pool = new PagePool(limits.pages, options);
  }

  get numWaiting(): number {
    return this.#waiting.length + (this.#next ? 1 : 0);
  }

  get numRunning(): number {
    return this.#running.length;
  }

  /** Ids of the admitted requests, those served longest ago first. */
  get runningIds(): number[] {
    return this.#running.map(({ request }) => request.id);
  }

  get isIdle(): boolean {
    return this.numWaiting === 0 && this.#running.length === 0;
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
    const atOnce = strategy.together ? strategy.width : 1;
    if (atOnce > rowsMax(this.#limits)) {
      const message = `the request needs ${atOnce} sequences at once, at most ${rowsMax(this.#limits)} fit`;
      throw new GptError("request_too_large", message);
    }
    const prompt: Sequence = { index: 0, tokenIds: request.promptTokenIds, numComputed: 0, pages: [] };
    const numReported = new Array<number>(request.decoding.numReturnSequences).fill(prompt.tokenIds.length);
    const group: SequenceGroup = {
      request,
      strategy,
      reservedPages,
      numReported,
      live: [prompt],
      pendingCopies: [],
      cachedTokens: 0,
      promptLogprobs: [],
    };
    const cost = tokensForLife(request.promptTokenIds.length, request.decoding);
    this.#waiting.push(request.client, group, cost);
  }

  /** Forgets a request and takes its pages back. Unknown ids are ignored: it may have finished meanwhile. */
  abort(id: number): void {
    this.#waiting.remove((group) => group.request.id === id);
    if (this.#next?.group.request.id === id) this.#next = undefined;
    const running = this.#running.find((group) => group.request.id === id);
    if (running) this.#retire(running);
  }

  /** The next pass. `pass-plan.ts` says how its room is shared out and why nobody waits for ever. */
  schedule(): ForwardBatch {
    this.#admit();
    for (const group of this.#running) this.#takeCachedPages(group);
    const shares = planPass(this.#demands(), this.#limits);
    this.#planned = this.#running.flatMap((group, i) => this.#plan(group, shares[i] as number));
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
    const rows = this.#takeRows(planned, logits);
    const news: GroupNews = { numGenerated: 0, finished: [], failed: [], progress: [] };
    for (const group of new Set(planned.map((one) => one.group))) this.#advance(group, rows, news);
    const groupsOf = (test: (one: Planned) => boolean) => planned.filter(test).map(({ group }) => group);
    const started = groupsOf(({ group, chunk }) => chunk.position === group.cachedTokens);
    const prefilled = groupsOf(({ group, chunk }) => {
      return chunk.position + chunk.tokenIds.length === group.request.promptTokenIds.length;
    });
    return {
      ...news,
      numTokens: sum(planned, ({ chunk }) => chunk.tokenIds.length),
      promptTokens: sum(prefilled, promptLength),
      queriedTokens: this.pool.keepsPages ? sum(prefilled.filter(mayFindPages), promptLength) : 0,
      cachedTokens: sum(prefilled, ({ cachedTokens }) => cachedTokens),
      started: started.map(({ request }) => request.id),
      prefilled: prefilled.map(({ request }) => request.id),
    };
  }

  /** What the rows of a pass mean for one request. */
  #advance(group: SequenceGroup, rows: ReadonlyMap<Sequence, readonly LogitsRow[]>, news: GroupNews): void {
    const sequences = group.live.filter((sequence) => rows.has(sequence));
    const own = sequences.map((sequence) => rows.get(sequence) as readonly LogitsRow[]);
    const { request, strategy, cachedTokens } = group;
    const last = own.map((each) => each.at(-1) as LogitsRow);
    const largest = last.map((row) => row.largest()).find((value) => !Number.isFinite(value));
    const isWrong = wantsAllRows(group) && isPrompt(group) && !takePromptLogprobs(group, own[0] ?? []);
    if (largest !== undefined || isWrong) {
      const what = isWrong ? "a log-probability of the prompt" : "the largest logit";
      news.failed.push({ request, message: `${what} that the model gave is ${largest ?? Number.NaN}` });
      this.#retire(group);
      return;
    }
    if (sequences.length === 0 || owed(sequences[0] as Sequence) > 0) return; // A prompt is not read to its end.
    const isFirst = isPrompt(group);
    const continuations = strategy.advance(sequences, last);
    news.numGenerated += numChosen(group, sequences.length);
    this.#branch(group, sequences, continuations);
    const prompt = wantsAllRows(group) ? { promptLogprobs: group.promptLogprobs } : {};
    if (group.live.length === 0) {
      const hypotheses = strategy.results();
      news.finished.push({ request, hypotheses, cachedTokens, ...prompt, ...takeSteps(strategy) });
      this.#retire(group);
    } else if (request.streams) {
      const progress = { ...takeSettled(group), ...(isFirst && prompt) };
      const { promptLogprobs, steps, sequences: settled } = progress;
      const isNews = promptLogprobs || steps || settled.some(({ tokenIds }) => tokenIds.length > 0);
      if (isNews) news.progress.push(progress);
    }
  }

  /** Marks the tokens of a pass as computed; the rows of each sequence that has any. */
  #takeRows(planned: readonly Planned[], logits: readonly LogitsRow[]): Map<Sequence, readonly LogitsRow[]> {
    const rows = new Map<Sequence, readonly LogitsRow[]>();
    let next = 0;
    for (const { sequence, chunk } of planned) {
      sequence.numComputed += chunk.tokenIds.length;
      this.#publishFullPages(sequence, chunk.position);
      const numRows = { none: 0, last: 1, all: chunk.tokenIds.length }[chunk.logits];
      if (numRows > 0) rows.set(sequence, logits.slice(next, next + numRows));
      next += numRows;
    }
    return rows;
  }

  /**
   * Admits waiting requests in turn. While the next one waits for pages, others that fit may overtake it, up to a number of
   * times; then all pages that come free are for it.
   */
  #admit(): void {
    for (;;) {
      const head = this.#next ? undefined : this.#waiting.shift();
      if (head) this.#next = { group: head, overtaken: 0 };
      if (!this.#next) return;
      if (this.#start(this.#next.group)) this.#next = undefined;
      else if (!this.#overtake(this.#next)) return;
    }
  }

  #overtake(next: { overtaken: number }): boolean {
    if (next.overtaken >= OVERTAKEN_MAX || this.pool.available === 0) return false;
    const fits = this.#waiting.take((group) => group.reservedPages <= this.pool.available);
    if (!fits) return false;
    next.overtaken += 1;
    return this.#start(fits);
  }

  /** False when there are not enough pages. */
  #start(group: SequenceGroup): boolean {
    if (!this.pool.reserve(group.reservedPages)) return false;
    this.#running.push(group);
    return true;
  }

  /**
   * What each running request wants of a pass. Of prompts that would fill the same page next, the first alone reads on: the
   * others find the page afterwards.
   */
  #demands(): Demand[] {
    const pages = new Set<string>();
    return this.#running.map((group) => {
      const demand = demandOf(group);
      const page = demand.promptTokens > 0 ? this.#nextPage(group) : undefined;
      if (page === undefined) return demand;
      const isFollower = pages.has(page.name) && page.isUntouched;
      pages.add(page.name);
      return isFollower ? { ...demand, promptTokens: 0 } : demand;
    });
  }

  /** The page that a prompt is about to fill, by what makes it findable; undefined when it will not be found. */
  #nextPage(group: SequenceGroup): { readonly name: string; readonly isUntouched: boolean } | undefined {
    const { pagePositions } = this.#limits;
    const { tokenIds, numComputed, pages } = group.live[0] as Sequence;
    const begin = Math.floor(numComputed / pagePositions) * pagePositions;
    const own = tokenIds.slice(begin, begin + pagePositions);
    if (readsWithRows(group) || !this.pool.keepsPages || begin + pagePositions >= tokenIds.length)
      return undefined;
    const name = `${pages[begin / pagePositions - 1] ?? ""}:${own.join()}`;
    return { name, isUntouched: begin === numComputed };
  }

  /** The chunks of one request: some tokens of its prompt, or one token each of so many of its sequences. */
  #plan(group: SequenceGroup, share: number): Planned[] {
    if (share === 0) return [];
    if (isReading(group)) return [this.#chunk(group, group.live[0] as Sequence, share)];
    // Sequences that were left out of a pass stand first (see `#branch`), so they are next.
    return group.live.slice(0, share).map((sequence) => this.#chunk(group, sequence, 1));
  }

  #chunk(group: SequenceGroup, sequence: Sequence, count: number): Planned {
    const { numComputed: position, tokenIds, pages } = sequence;
    const end = position + count;
    const wantsAll = readsWithRows(group);
    while (pages.length * this.#limits.pagePositions < end) pages.push(this.pool.allocate());
    const logits = wantsAll ? "all" : end === tokenIds.length ? "last" : "none";
    return { group, sequence, chunk: { pages, position, tokenIds: tokenIds.slice(position, end), logits } };
  }

  /**
   * Takes over pages that hold what the sequence owes next. The last page it computes itself, however little of it: its
   * logits are wanted. A prompt of which all logits are wanted is computed whole.
   */
  #takeCachedPages(group: SequenceGroup): void {
    if (!isReading(group) || readsWithRows(group)) return;
    const { pagePositions } = this.#limits;
    const sequence = group.live[0] as Sequence;
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
  #publishFullPages({ tokenIds, numComputed, pages }: Sequence, from: number): void {
    const { pagePositions } = this.#limits;
    const numFull = Math.floor(numComputed / pagePositions);
    for (let i = Math.floor(from / pagePositions); i < numFull; i++) {
      const own = tokenIds.slice(i * pagePositions, (i + 1) * pagePositions);
      pages[i] = this.pool.publish(pages[i] as number, pages[i - 1], own);
    }
  }

  /**
   * Puts the continuations of some live sequences in their place, behind the sequences that did not go on. The first child of
   * a parent inherits its pages, further ones fork.
   */
  #branch(group: SequenceGroup, parents: readonly Sequence[], continuations: readonly Continuation[]): void {
    const hasChild = new Set(continuations.map((c) => c.parent));
    // Childless sequences go first: their pages may be needed for the forks.
    for (const [i, parent] of parents.entries()) if (!hasChild.has(i)) this.#releasePages(parent);
    const heirs = new Set<number>();
    const children = continuations.map((continuation): Sequence => {
      const { parent: i, index } = continuation;
      const parent = parents[i] as Sequence;
      const pages = heirs.has(i) ? this.#fork(group, parent) : parent.pages;
      heirs.add(i);
      return { index, ...extended(parent, continuation), numComputed: parent.numComputed, pages };
    });
    const others = group.live.filter((sequence) => !parents.includes(sequence));
    group.live = [...others, ...children];
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

/** What a request wants of a pass; see `pass-plan.ts`. */
function demandOf(group: SequenceGroup): Demand {
  const { request, strategy, live } = group;
  // A prompt of which all logits are wanted needs rows, as sequences do that go on each by itself.
  if (readsWithRows(group)) {
    return { rows: owed(live[0] as Sequence), together: false, promptTokens: 0, client: request.client };
  }
  const promptTokens = isReading(group) ? owed(live[0] as Sequence) : 0;
  const rows = promptTokens > 0 ? 0 : live.length;
  return { rows, together: strategy.together && rows > 0, promptTokens, client: request.client };
}

/** How many tokens a step of so many sequences chose; the first step chooses one for each sequence or beam. */
function numChosen(group: SequenceGroup, numSequences: number): number {
  const { request, strategy } = group;
  if (request.decoding.maxLength === request.promptTokenIds.length) return 0;
  return isPrompt(group) ? strategy.width : numSequences;
}

function mayFindPages(group: SequenceGroup): boolean {
  return !wantsAllRows(group);
}

function promptLength({ request }: SequenceGroup): number {
  return request.promptTokenIds.length;
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
