// Decides what goes into the next pass and what its logits mean for every request. It does no I/O, reads no clock,
// never looks inside a row of logits and does not know what a beam is. There is no prefill and no decode phase: every
// sequence owes the tokens that are not computed yet, a prompt simply many of them.
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

/** The rows of a sequence in a pass; the last ones stand behind guesses. */
interface OwnRows {
  readonly rows: readonly LogitsRow[];
  readonly guesses: readonly number[];
}

/** A sequence that gets its next token, the row it is read from, and what was guessed of the tokens behind it. */
interface Step {
  readonly sequence: Sequence;
  readonly row: LogitsRow;
  readonly guesses: readonly number[];
  /** One behind each guess. */
  readonly further: readonly LogitsRow[];
}

/** What a pass meant for its requests. */
interface GroupNews {
  numGenerated: number;
  numAccepted: number;
  readonly finished: FinishedRequest[];
  readonly failed: FailedRequest[];
  readonly progress: Progress[];
}

/** How often a request that waits for pages may be overtaken by others that fit. */
const OVERTAKEN_MAX = 16;

export interface EngineOptions {
  /** Full pages stay findable for later prompts until their memory is needed. */
  readonly prefixCache: boolean;
  /** Tokens are guessed, and several of a sequence computed in one pass. Default: false. */
  readonly speculation?: boolean;
}

export class Scheduler {
  readonly pool: PagePool;
  readonly #limits: BackendLimits;
  readonly #pages: SequencePages;
  readonly #speculation: Speculation | undefined;
  readonly #waiting = new FairQueue<SequenceGroup>();
  /** The request whose turn it is to be admitted, taken off the queue, while there are not enough pages for it. */
  #next: { readonly group: SequenceGroup; overtaken: number } | undefined;
  /** Those served longest ago come first. */
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

  /** Takes over pages that hold what a prompt owes next, with the scores of their tokens where these are wanted. */
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

  /** Takes the logits of the scheduled pass, in its order. */
  update(logits: readonly LogitsRow[]): PassResult {
    const planned = this.#planned;
    this.#planned = [];
    const rows = this.#takeRows(planned, logits);
    const news: GroupNews = { numGenerated: 0, numAccepted: 0, finished: [], failed: [], progress: [] };
    for (const group of new Set(planned.map((one) => one.group))) this.#advance(group, rows, news);
    const groupsOf = (test: (one: Planned) => boolean) => planned.filter(test).map(({ group }) => group);
    const started = groupsOf(({ group, chunk }) => chunk.position === group.cachedTokens);
    const prefilled = groupsOf(({ group, chunk }) => {
      return chunk.position + chunk.tokenIds.length === promptLength(group);
    });
    return {
      ...news,
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

  /** Takes in how long the last pass took, in any unit. Only guessing makes use of it. */
  passTook(time: number, { numTokens, numLogitRows }: PassResult): void {
    // Rows of prompts cost less, without a row of logits for each.
    if (numTokens === numLogitRows) this.#speculation?.observe(numTokens, time);
  }

  /** What the rows of a pass mean for one request. */
  #advance(group: SequenceGroup, rows: ReadonlyMap<Sequence, OwnRows>, news: GroupNews): void {
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
      this.#fail(group, what, largest ?? Number.NaN, news);
      return;
    }
    if (sequences.length === 0 || owed(sequences[0] as Sequence) > 0) return; // A prompt is not read to its end.
    while (steps.length > 0 && largest === undefined) {
      steps = this.#step(group, steps, news);
      largest = largestNotFinite(steps);
    }
    this.#tell(group, isFirst, news);
    if (largest !== undefined) this.#fail(group, "the largest logit", largest, news);
  }

  /** Takes the scores of a prompt's chunk; false where they are no numbers. */
  #score(group: SequenceGroup, rows: readonly LogitsRow[]): boolean {
    if (!takePromptLogprobs(group, rows)) return false;
    const { live, promptLogprobs } = group;
    const prompt = live[0] as Sequence;
    const from = prompt.numComputed - rows.length;
    const { pagePositions } = this.#limits;
    keepScores(this.pool, prompt, { pagePositions, from }, promptLogprobs, scoreOptions(group));
    return true;
  }

  /** One new token for some sequences; answers those of them whose token was guessed, so that its row is there already. */
  #step(group: SequenceGroup, steps: readonly Step[], news: GroupNews): Step[] {
    const parents = steps.map(({ sequence }) => sequence);
    news.numGenerated += numChosen(group, steps.length);
    const rows = steps.map(({ row }) => row);
    const continuations = group.strategy.advance(parents, rows);
    const children = this.#branch(group, parents, continuations);
    return continuations.flatMap(({ parent, tokenId }, i) => {
      const { guesses, further } = steps[parent] as Step;
      const [row, ...others] = further;
      if (!row || guesses[0] !== tokenId) return [];
      const sequence = children[i] as Sequence;
      this.#pages.count(sequence, 1);
      news.numAccepted += 1;
      return [{ sequence, row, guesses: guesses.slice(1), further: others }];
    });
  }

  /** What a request's caller learns from its steps in a pass. */
  #tell(group: SequenceGroup, isFirst: boolean, news: GroupNews): void {
    const { request, strategy, cachedTokens } = group;
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

  #fail(group: SequenceGroup, what: string, value: number, news: GroupNews): void {
    news.failed.push({ request: group.request, message: `${what} that the model gave is ${value}` });
    this.#retire(group);
  }

  /** Marks the tokens of a pass as computed, but for guesses; the rows of each sequence that has any. */
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
   * Admits waiting requests in turn. While the next one waits for pages, others that fit may overtake it, up to a number of
   * times. After that only other clients may, and only while the next one's client holds more than its share of the pages.
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

  /** False when there are not enough pages. */
  #start(group: SequenceGroup): boolean {
    if (!this.pool.reserve(group.reservedPages)) return false;
    this.#running.push(group);
    return true;
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
    this.#pages.cover(sequence, end);
    const logits = readsWithRows(group) ? "all" : end === tokenIds.length ? "last" : "none";
    const chunk = { pages, position, tokenIds: tokenIds.slice(position, end), logits } as const;
    return { group, sequence, chunk, guesses: [] };
  }

  /** The same pass with guesses where they are worth their rows. Their pages are among those promised to the request. */
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
   * Puts the continuations of some live sequences in their place, behind the sequences that did not go on. The first child of
   * a parent inherits its pages, further ones fork.
   */
  #branch(
    group: SequenceGroup,
    parents: readonly Sequence[],
    continuations: readonly Continuation[],
  ): Sequence[] {
    const hasChild = new Set(continuations.map((c) => c.parent));
    // Childless sequences go first: their pages may be needed for the forks.
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

  /** The one place where a running request's pages come home. */
  #retire(group: SequenceGroup): void {
    for (const sequence of group.live) this.#pages.release(sequence);
    this.pool.unreserve(group.reservedPages);
    this.#running = this.#running.filter((other) => other !== group);
  }
}

function sum<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((total, item) => total + numberOf(item), 0);
}

/** The largest logit of the first row in which it is no finite number. */
function largestNotFinite(steps: readonly Step[]): number | undefined {
  return steps.map(({ row }) => row.largest()).find((value) => !Number.isFinite(value));
}
