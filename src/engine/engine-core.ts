// The engine's three verbs: schedule, forward, update. Synchronous; who calls `step` and when is decided elsewhere.
import { makeStrategy } from "../decoding/strategy.ts";
import type { Backend } from "../model/backend.ts";
import { type Outcome, Scheduler } from "./scheduler.ts";
import type { GenerationRequest } from "./sequence.ts";

/** What an engine thread knows about itself; the counts only grow. */
export interface EngineStats {
  readonly pagesTotal: number;
  readonly pagesInUse: number;
  /** Passes of the model. */
  readonly steps: number;
  /** Rows of all passes. */
  readonly tokensComputed: number;
  /** Rows of the last pass. */
  readonly lastBatchRows: number;
}

export class EngineCore {
  readonly scheduler: Scheduler;
  readonly #backend: Backend;
  readonly #eosTokenIds: ReadonlySet<number>;
  #steps = 0;
  #tokensComputed = 0;
  #lastBatchRows = 0;

  constructor(backend: Backend, eosTokenIds: readonly number[]) {
    this.#backend = backend;
    this.#eosTokenIds = new Set(eosTokenIds);
    this.scheduler = new Scheduler(backend.limits);
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
  step(): Outcome {
    const batch = this.scheduler.schedule();
    const logits = this.#backend.forward(batch);
    const outcome = this.scheduler.update(logits);
    this.#steps += 1;
    this.#tokensComputed += outcome.numTokens;
    this.#lastBatchRows = outcome.numTokens;
    return outcome;
  }

  stats(): EngineStats {
    const { size, inUse } = this.scheduler.pool;
    return {
      ...{ pagesTotal: size, pagesInUse: inUse },
      ...{ steps: this.#steps, tokensComputed: this.#tokensComputed, lastBatchRows: this.#lastBatchRows },
    };
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}
