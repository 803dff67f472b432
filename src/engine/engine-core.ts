// The engine without its thread. A step is: schedule, forward, update. It is synchronous; `thread/worker-loop.ts` calls it.
import { makeStrategy } from "../decoding/make-strategy.ts";
import type { Backend } from "../model/backend.ts";
import { type EngineCounts, NO_COUNTS, type ThreadStats } from "./counts.ts";
import type { PassResult } from "./pass-result.ts";
import { type EngineOptions, Scheduler } from "./scheduler.ts";
import type { GenerationRequest } from "./sequence.ts";
import { WorkRate } from "./work-rate.ts";

export class EngineCore {
  readonly scheduler: Scheduler;
  readonly #backend: Backend;
  readonly #eosTokenIds: ReadonlySet<number>;
  readonly #counts = { ...NO_COUNTS } as { -readonly [name in keyof EngineCounts]: number };
  readonly #rate = new WorkRate();
  #lastBatchRows = 0;

  constructor(
    backend: Backend,
    eosTokenIds: readonly number[],
    options: EngineOptions = { prefixCache: true },
  ) {
    this.#backend = backend;
    this.#eosTokenIds = new Set(eosTokenIds);
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

  /** Runs one pass of the model over everything that is due. */
  step(): PassResult {
    const beganMs = performance.now();
    const batch = this.scheduler.schedule();
    const logits = this.#backend.forward(batch);
    const result = this.scheduler.update(logits);
    const counts = this.#counts;
    counts.steps += 1;
    counts.tokensComputed += result.numTokens;
    counts.tokensGenerated += result.numGenerated;
    counts.promptTokens += result.promptTokens;
    counts.prefixTokensQueried += result.queriedTokens;
    counts.prefixTokensHit += result.cachedTokens;
    counts.tokensGuessed += result.numGuessed;
    counts.tokensAccepted += result.numAccepted;
    this.#lastBatchRows = result.numTokens;
    const seconds = (performance.now() - beganMs) / 1000;
    counts.busySeconds += seconds;
    this.#rate.passed(result.numTokens, seconds);
    return result;
  }

  /** Reports how long a step took, in any unit. Speculation uses it to predict the time of passes. */
  stepTook(time: number, result: PassResult): void {
    this.scheduler.passTook(time, result);
  }

  stats(): ThreadStats {
    const { size, inUse, idle } = this.scheduler.pool;
    const pages = { pagesTotal: size, pagesInUse: inUse, pagesCached: idle };
    const { tokensPerSecond } = this.#rate;
    return { ...pages, ...this.#counts, lastBatchRows: this.#lastBatchRows, tokensPerSecond };
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}
