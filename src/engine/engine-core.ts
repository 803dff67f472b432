// The engine's three verbs: schedule, forward, update. Synchronous; who calls `step` and when is decided elsewhere.
import { makeStrategy } from "../decoding/strategy.ts";
import type { Backend } from "../model/backend.ts";
import { type Finished, Scheduler } from "./scheduler.ts";
import type { GenerationRequest } from "./sequence.ts";

export class EngineCore {
  readonly scheduler: Scheduler;
  readonly #backend: Backend;
  readonly #eosTokenIds: ReadonlySet<number>;

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

  /** One pass of the model over everything that is due; returns the requests that it finished. */
  step(): Finished[] {
    const batch = this.scheduler.schedule();
    const logits = this.#backend.forward(batch);
    return this.scheduler.update(logits);
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}
