// Decides what goes into the next pass, and what the logits of a pass mean for every request. It does no I/O, reads no clock,
// never looks inside a row of logits and does not know what a beam is. There are no separate prefill and decode phases: every
// sequence owes the tokens that are not computed yet, and a prompt just owes many.
import { type Continuation, type DecodingStrategy, extended } from "../decoding/strategy.ts";
import { GptError } from "../errors.ts";
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { BackendLimits, ForwardBatch } from "../model/backend.ts";
import { demandsOf } from "./demands.ts";
import { FairQueue } from "./fair-queue.ts";
import { PagePool } from "./page-pool.ts";
import { holdsMoreThanItsShare } from "./page-shares.ts";
import { planPass, rowsMax } from "./pass-plan.ts";
import type { FailedRequest, FinishedRequest, PassResult, Progress } from "./pass-result.ts";
import { takePromptLogprobs, takeSettled, takeSteps } from "./progress.ts";
import { keepScores, takeScored } from "./scored-pages.ts";
import {
  type GenerationRequest,
  isPrompt,
  isReading,
  numChosen,
  numLogitRows,
  owed,
  type Planned,
  pagesForLife,
  promptLength,
  readsWithRows,
  type Sequence,
  type SequenceGroup,
  scoreOptions,
  tokensForLife,
  wantsAllRows,
} from "./sequence.ts";
import { SequencePages } from "./sequence-pages.ts";
import { Speculation } from "./speculation.ts";

/** The rows of logits of a sequence in a pass. The last ones follow guesses, one for each guess. */
interface OwnRows {
  readonly rows: readonly LogitsRow[];
  readonly guesses: readonly number[];
}

/** A sequence that gets its next token, the row of logits for it, and the guesses for the tokens after it. */
interface Step {
  readonly sequence: Sequence;
  readonly row: LogitsRow;
  readonly guesses: readonly number[];
  /** The row after each guess. */
  readonly further: readonly LogitsRow[];
}

/** What a pass did to its requests. `#advance` adds the part of one request. */
interface PassEffects {
  numGenerated: number;
  numAccepted: number;
  readonly finished: FinishedRequest[];
  readonly failed: FailedRequest[];
  readonly progress: Progress[];
}

/** How often a request that waits for pages may be overtaken by smaller ones that fit. */
const OVERTAKEN_MAX = 16;

export interface EngineOptions {
  /** True: full pages are kept for later prompts until their memory is needed. */
  readonly prefixCache: boolean;
  /** True: tokens are guessed, so that a pass can compute several tokens of a sequence. Default: false. */
  readonly speculation?: boolean;
}

export class Scheduler {
  readonly pool: PagePool;
  readonly #limits: BackendLimits;
  readonly #pages: SequencePages;
  readonly #speculation: Speculation | undefined;
  readonly #waiting = new FairQueue<SequenceGroup>();
  /** The request whose turn it is, off the queue already, while there are not enough pages to admit it. */
  #next: { readonly group: SequenceGroup; overtaken: number } | undefined;
  /** The admitted requests, those served longest ago first. */
  #running: SequenceGroup[] = [];
  #planned: Planned[] = [];

  constructor(limits: BackendLimits, options: EngineOptions) {
    this.#limits = limits;
    this.pool = new PagePool(limits.pages, options);
    this.#pages = new SequencePages(this.pool, limits.pagePositions);
    this.#speculation = options.speculation ? new Speculation(limits) : undefined;
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
      waited: 0,
      pendingCopies: [],
      cachedTokens: 0,
      promptLogprobs: [],
      pageAhead: undefined,
      lookup: undefined,
    };
    const cost = tokensForLife(request.promptTokenIds.length, request.decoding);
    this.#waiting.push(request.client, group, cost);
  }

  /** Drops a request and releases its pages. Unknown ids are ignored: the request may have finished meanwhile. */
  abort(id: number): void {
    this.#waiting.remove((group) => group.request.id === id);
    if (this.#next?.group.request.id === id) this.#next = undefined;
    const running = this.#running.find((group) => group.request.id === id);
    if (running) this.#retire(running);
  }

  /** The next pass. `pass-plan.ts` explains how its room is shared out, and why no request waits for ever. */
  schedule(): ForwardBatch {
    this.#admit();
    for (const group of this.#running) if (isReading(group)) this.#takeCached(group);
    const shares = planPass(demandsOf(this.#running, this.pool, this.#limits), this.#limits);
    const planned = this.#running.flatMap((group, i) => this.#plan(group, shares[i] as number));
    this.#planned = this.#withGuesses(planned);
    const served = new Set(this.#planned.map(({ group }) => group));
    for (const group of this.#running) group.waited = served.has(group) ? 0 : group.waited + 1;
    const last = this.#running.filter((group) => served.has(group));
    this.#running = [...this.#running.filter((group) => !served.has(group)), ...last];
    const copies = last.flatMap(({ pendingCopies }) => pendingCopies.splice(0));
    return { copies, chunks: this.#planned.map(({ chunk }) => chunk) };
  }

  /** Takes over cached pages with the next tokens of a prompt, including the scores of these tokens if they are wanted. */
  #takeCached(group: SequenceGroup): void {
    const sequence = group.live[0] as Sequence;
    const { numComputed } = sequence;
    if (readsWithRows(group)) {
      const found = takeScored(this.pool, sequence, this.#limits.pagePositions, scoreOptions(group));
      group.promptLogprobs.push(...found.logprobs);
      group.pageAhead = found.ahead;
    } else this.#pages.takeCached(sequence);
    group.cachedTokens += sequence.numComputed - numComputed;
  }

  /** Handles the logits of the scheduled pass, which are in the order of its chunks. */
  update(logits: readonly LogitsRow[]): PassResult {
    const planned = this.#planned;
    this.#planned = [];
    const rows = this.#takeRows(planned, logits);
    const effects: PassEffects = { numGenerated: 0, numAccepted: 0, finished: [], failed: [], progress: [] };
    for (const group of new Set(planned.map((one) => one.group))) this.#advance(group, rows, effects);
    const groupsOf = (test: (one: Planned) => boolean) => planned.filter(test).map(({ group }) => group);
    const started = groupsOf(({ group, chunk }) => chunk.position === group.cachedTokens);
    const prefilled = groupsOf(({ group, chunk }) => {
      return chunk.position + chunk.tokenIds.length === promptLength(group);
    });
    return {
      ...effects,
      numTokens: sum(planned, ({ chunk }) => chunk.tokenIds.length),
      numLogitRows: logits.length,
      numGuessed: sum(planned, ({ guesses }) => guesses.length),
      promptTokens: sum(prefilled, promptLength),
      queriedTokens: this.pool.keepsPages ? sum(prefilled, promptLength) : 0,
      cachedTokens: sum(prefilled, ({ cachedTokens }) => cachedTokens),
      started: started.map(({ request }) => request.id),
      prefilled: prefilled.map(({ request }) => request.id),
    };
  }

  /** Records the time of the last pass, in any unit. Only speculation uses it. */
  passTook(time: number, { numTokens, numLogitRows }: PassResult): void {
    // Only passes in which every row has logits are comparable: rows of prompts, which have none, cost less.
    if (numTokens === numLogitRows) this.#speculation?.observe(numTokens, time);
  }

  /** Handles the rows of a pass for one request. */
  #advance(group: SequenceGroup, rows: ReadonlyMap<Sequence, OwnRows>, effects: PassEffects): void {
    const sequences = group.live.filter((sequence) => rows.has(sequence));
    const own = sequences.map((sequence) => rows.get(sequence) as OwnRows);
    const isFirst = isPrompt(group);
    const isWrong = wantsAllRows(group) && isFirst && !this.#score(group, own[0]?.rows ?? []);
    let steps = own.map(({ rows, guesses }, i): Step => {
      const [row, ...further] = rows.slice(-1 - guesses.length) as [LogitsRow, ...LogitsRow[]];
      return { sequence: sequences[i] as Sequence, row, guesses, further };
    });
    let largest = largestNotFinite(steps);
    if (isWrong || largest !== undefined) {
      const what = isWrong ? "a log-probability of the prompt" : "the largest logit";
      this.#fail(group, what, largest ?? Number.NaN, effects);
      return;
    }
    if (sequences.length === 0 || owed(sequences[0] as Sequence) > 0) return; // The prompt is not completed yet.
    while (steps.length > 0 && largest === undefined) {
      steps = this.#step(group, steps, effects);
      largest = largestNotFinite(steps);
    }
    this.#report(group, isFirst, effects);
    if (largest !== undefined) this.#fail(group, "the largest logit", largest, effects);
  }

  /** Reads and keeps the scores of a prompt's chunk. False: the logits are not numbers. */
  #score(group: SequenceGroup, rows: readonly LogitsRow[]): boolean {
    if (!takePromptLogprobs(group, rows)) return false;
    const { live, promptLogprobs } = group;
    const prompt = live[0] as Sequence;
    const from = prompt.numComputed - rows.length;
    const { pagePositions } = this.#limits;
    keepScores(this.pool, prompt, { pagePositions, from }, promptLogprobs, scoreOptions(group));
    return true;
  }

  /** Chooses one new token for some sequences. Returns a next step for those whose token was guessed right: its row is there. */
  #step(group: SequenceGroup, steps: readonly Step[], effects: PassEffects): Step[] {
    const parents = steps.map(({ sequence }) => sequence);
    effects.numGenerated += numChosen(group, steps.length);
    const rows = steps.map(({ row }) => row);
    const continuations = group.strategy.advance(parents, rows);
    const children = this.#branch(group, parents, continuations);
    return continuations.flatMap(({ parent, tokenId }, i) => {
      const { guesses, further } = steps[parent] as Step;
      const [row, ...others] = further;
      if (!row || guesses[0] !== tokenId) return [];
      const sequence = children[i] as Sequence;
      this.#pages.count(sequence, 1);
      effects.numAccepted += 1;
      return [{ sequence, row, guesses: guesses.slice(1), further: others }];
    });
  }

  /** Reports what a request's steps in a pass mean for its caller. */
  #report(group: SequenceGroup, isFirst: boolean, effects: PassEffects): void {
    const { request, strategy, cachedTokens } = group;
    const prompt = wantsAllRows(group) ? { promptLogprobs: group.promptLogprobs } : {};
    if (group.live.length === 0) {
      const hypotheses = strategy.results();
      effects.finished.push({ request, hypotheses, cachedTokens, ...prompt, ...takeSteps(strategy) });
      this.#retire(group);
    } else if (request.streams) {
      const progress = { ...takeSettled(group), ...(isFirst && prompt) };
      const { promptLogprobs, steps, sequences: settled } = progress;
      const hasChanged = promptLogprobs || steps || settled.some(({ tokenIds }) => tokenIds.length > 0);
      if (hasChanged) effects.progress.push(progress);
    }
  }

  #fail(group: SequenceGroup, what: string, value: number, effects: PassEffects): void {
    effects.failed.push({ request: group.request, message: `${what} that the model gave is ${value}` });
    this.#retire(group);
  }

  /** Marks the tokens of a pass as computed, except the guesses. Returns the rows of logits of each sequence that has any. */
  #takeRows(planned: readonly Planned[], logits: readonly LogitsRow[]): Map<Sequence, OwnRows> {
    const own = new Map<Sequence, OwnRows>();
    let next = 0;
    for (const { sequence, chunk, guesses } of planned) {
      this.#pages.count(sequence, chunk.tokenIds.length - guesses.length);
      const numRows = numLogitRows(chunk);
      if (numRows > 0) own.set(sequence, { rows: logits.slice(next, next + numRows), guesses });
      next += numRows;
    }
    return own;
  }

  /**
   * Admits waiting requests in their turn. While the next one waits for pages, others that fit may overtake it, at most
   * `OVERTAKEN_MAX` times. After that only requests of other clients may, and only while the client of the next one holds more
   * than its share of the pages.
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

  #overtake(next: { readonly group: SequenceGroup; overtaken: number }): boolean {
    const { client } = next.group.request;
    const isItsTurn = next.overtaken >= OVERTAKEN_MAX;
    const waitsForItsOwn = holdsMoreThanItsShare(client, this.#running, this.pool.size);
    if ((isItsTurn && !waitsForItsOwn) || this.pool.available === 0) return false;
    const fits = this.#waiting.take(({ request, reservedPages }) => {
      return reservedPages <= this.pool.available && !(isItsTurn && request.client === client);
    });
    if (!fits) return false;
    next.overtaken += 1;
    return this.#start(fits);
  }

  /** Reserves the pages of a request and runs it. False: there are not enough pages. */
  #start(group: SequenceGroup): boolean {
    if (!this.pool.reserve(group.reservedPages)) return false;
    this.#running.push(group);
    return true;
  }

  /** The chunks of one request: `share` tokens of its prompt, or one token each of `share` of its sequences. */
  #plan(group: SequenceGroup, share: number): Planned[] {
    if (share === 0) return [];
    if (isReading(group)) return [this.#chunk(group, group.live[0] as Sequence, share)];
    // Sequences that were left out of a pass come first in `live` (see `#branch`), so they are served next.
    return group.live.slice(0, share).map((sequence) => this.#chunk(group, sequence, 1));
  }

  #chunk(group: SequenceGroup, sequence: Sequence, count: number): Planned {
    const { numComputed: position, tokenIds, pages } = sequence;
    const end = position + count;
    this.#pages.cover(sequence, end);
    const logits = readsWithRows(group) ? "all" : end === tokenIds.length ? "last" : "none";
    const chunk = { pages, position, tokenIds: tokenIds.slice(position, end), logits } as const;
    return { group, sequence, chunk, guesses: [] };
  }

  /** Adds guesses to a pass where they are worth their rows. Their pages are among those that the request has reserved. */
  #withGuesses(planned: Planned[]): Planned[] {
    const guessed = this.#speculation?.guesses(planned);
    if (!guessed || guessed.size === 0) return planned;
    return planned.map((one) => {
      const guesses = guessed.get(one.sequence);
      if (!guesses) return one;
      const tokenIds = [...one.chunk.tokenIds, ...guesses];
      this.#pages.cover(one.sequence, one.chunk.position + tokenIds.length);
      return { ...one, chunk: { ...one.chunk, tokenIds, logits: "all" }, guesses };
    });
  }

  /**
   * Replaces some live sequences by their continuations, which come after all sequences that were not in the pass. The first child
   * of a parent inherits its pages. Further children fork.
   */
  #branch(
    group: SequenceGroup,
    parents: readonly Sequence[],
    continuations: readonly Continuation[],
  ): Sequence[] {
    const hasChild = new Set(continuations.map((c) => c.parent));
    // Sequences without a child are released first, as their pages may be needed for the forks.
    for (const [i, parent] of parents.entries()) if (!hasChild.has(i)) this.#pages.release(parent);
    const heirs = new Set<number>();
    const children = continuations.map((continuation): Sequence => {
      const { parent: i, index } = continuation;
      const parent = parents[i] as Sequence;
      const pages = heirs.has(i) ? this.#pages.fork(parent, group.pendingCopies) : parent.pages;
      heirs.add(i);
      return { index, ...extended(parent, continuation), numComputed: parent.numComputed, pages };
    });
    const others = group.live.filter((sequence) => !parents.includes(sequence));
    group.live = [...others, ...children];
    return children;
  }

  /** Releases all pages of a running request. This is the only place that does. */
  #retire(group: SequenceGroup): void {
    for (const sequence of group.live) this.#pages.release(sequence);
    this.pool.unreserve(group.reservedPages);
    this.#running = this.#running.filter((other) => other !== group);
  }
}

function sum<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((total, item) => total + numberOf(item), 0);
}

/** The largest logit of the first row in which it is NaN or infinite. Undefined: there is no such row. */
function largestNotFinite(steps: readonly Step[]): number | undefined {
  return steps.map(({ row }) => row.largest()).find((value) => !Number.isFinite(value));
}
