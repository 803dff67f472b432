// The engine's three verbs: schedule, forward, update. Synchronous; who calls `step` and when is decided elsewhere.
import { makeStrategy } from "../decoding/make-strategy.ts";
import type { Backend } from "../model/backend.ts";
import { type EngineOptions, type PassResult, Scheduler } from "./scheduler.ts";
import type { GenerationRequest } from "./sequence.ts";

/** What an engine thread counts; the numbers only grow. */
export interface EngineCounts {
  /** Passes of the model. */
  readonly steps: number;
  /** Rows of all passes. */
  readonly tokensComputed: number;
  /** New tokens that were chosen: in each step one for every sequence or beam. */
  readonly tokensGenerated: number;
  /** Tokens of the prompts that were read. */
  readonly promptTokens: number;
  /** Those of them that the prefix cache was asked for, and those that it had. */
  readonly prefixTokensQueried: number;
  readonly prefixTokensHit: number;
}

/** What an engine thread knows about itself. */
export interface EngineStats extends EngineCounts {
  readonly pagesTotal: number;
  readonly pagesInUse: number;
  /** Pages that nobody uses and that a prompt may find. */
  readonly pagesCached: number;
  /** Rows of the last pass. */
  readonly lastBatchRows: number;
}

export const NO_COUNTS: EngineCounts = {
  ...{ steps: 0, tokensComputed: 0, tokensGenerated: 0, promptTokens: 0 },
  ...{ prefixTokensQueried: 0, prefixTokensHit: 0 },
};

export class EngineCore {
  readonly scheduler: Scheduler;
  readonly #backend: Backend;
  readonly #eosTokenIds: ReadonlySet<number>;
  readonly #options: EngineOptions;
  readonly #counts = { ...NO_COUNTS } as { -readonly [name in keyof EngineCounts]: number };
  #lastBatchRows = 0;

  constructor(
    backend: Backend,
    eosTokenIds: readonly number[],
    options: EngineOptions = { prefixCache: true },
  ) {
    this.#backend = backend;
    this.#eosTokenIds = new Set(eosTokenIds);
    this.#options = options;
    this.scheduler = new Scheduler(backend.limits, options);
  }

  /** @throws GptError `request_too_large` */
  add(request: GenerationRequest): void {
    const context = { promptLength: request.promptTokenIds.length, eosTokenIds: this.#eosTokenIds };
    this.scheduler.add(request, makeStrategy(request.decoding, context));
  }

  abort(id: number): void {
    this.scheduler.abort(id);
  }

  get isIdle(): boolean {
    return this.scheduler.isIdle;
  }

  /** One pass of the model over everything that is due. */
  step(): PassResult {
    const batch = this.scheduler.schedule();
    const logits = this.#backend.forward(batch);
    const outcome = this.scheduler.update(logits);
    const counts = this.#counts;
    counts.steps += 1;
    counts.tokensComputed += outcome.numTokens;
    counts.tokensGenerated += outcome.numGenerated;
    counts.promptTokens += outcome.promptTokens;
    counts.prefixTokensQueried += this.#options.prefixCache ? outcome.promptTokens : 0;
    counts.prefixTokensHit += outcome.cachedTokens;
    this.#lastBatchRows = outcome.numTokens;
    return outcome;
  }

  stats(): EngineStats {
    const { size, inUse, idle } = this.scheduler.pool;
    const pages = { pagesTotal: size, pagesInUse: inUse, pagesCached: idle };
    return { ...pages, ...this.#counts, lastBatchRows: this.#lastBatchRows };
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}
