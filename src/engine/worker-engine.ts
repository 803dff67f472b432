// The engine thread as seen from the outside: requests go in, promises come back.
import type { Worker } from "node:worker_threads";
import type { DecodingParams } from "../decoding/params.ts";
import type { Hypothesis } from "../decoding/strategy.ts";
import { GptError, messageOf } from "../errors.ts";
import type { FromEngine, ToEngine } from "./messages.ts";

interface Open {
  readonly resolve: (hypotheses: readonly Hypothesis[]) => void;
  readonly reject: (error: GptError) => void;
}

export class WorkerEngine {
  readonly #worker: Worker;
  readonly #maxOpen: number;
  readonly #open = new Map<number, Open>();
  #nextId = 1;
  #failure: GptError | undefined;
  #closing = false;

  private constructor(worker: Worker, maxOpen: number) {
    this.#worker = worker;
    this.#maxOpen = maxOpen;
  }

  /**
   * Waits until the thread says that its model is loaded. `maxOpen`: requests accepted and not finished.
   * @throws GptError with the thread's own code when it cannot start.
   */
  static async start<Info>(worker: Worker, maxOpen: number): Promise<{ engine: WorkerEngine; info: Info }> {
    const engine = new WorkerEngine(worker, maxOpen);
    const info = await new Promise<Info>((resolve, reject) => {
      worker.on("message", (message: FromEngine<Info>) => {
        if (message.type === "ready") resolve(message.info);
        else if (message.type === "failed") reject(new GptError(message.code, message.message));
        else engine.#settle(message);
      });
      worker.on("error", (error) => reject(engine.#fail(`the engine thread failed: ${messageOf(error)}`)));
      worker.on("exit", () => reject(engine.#fail("the engine thread ended")));
    });
    return { engine, info };
  }

  /** @throws GptError `queue_full`, `cancelled`, `engine_failed` or what the engine refused the request with. */
  submit(
    promptTokenIds: readonly number[],
    decoding: DecodingParams,
    signal?: AbortSignal,
  ): Promise<readonly Hypothesis[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      if (signal?.aborted) return reject(cancelled());
      if (this.#open.size >= this.#maxOpen) {
        return reject(
          new GptError("queue_full", `${this.#open.size} requests are open, as many as are accepted`),
        );
      }
      const id = this.#nextId++;
      const onAbort = (): void => {
        this.#open.delete(id);
        this.#post({ type: "abort", id });
        reject(cancelled());
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      const settled = <T>(settle: (value: T) => void) => {
        return (value: T): void => {
          signal?.removeEventListener("abort", onAbort);
          settle(value);
        };
      };
      this.#open.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.#post({ type: "submit", request: { id, promptTokenIds, decoding } });
    });
  }

  /** Ends the thread; open requests are rejected as cancelled. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const { reject } of this.#open.values()) reject(cancelled());
    this.#open.clear();
    const exited = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#post({ type: "close" });
    await exited;
  }

  #post(message: ToEngine): void {
    this.#worker.postMessage(message);
  }

  #settle(message: Extract<FromEngine<never>, { id: number }>): void {
    const open = this.#open.get(message.id);
    if (!open) return; // Aborted meanwhile.
    this.#open.delete(message.id);
    if (message.type === "finished") open.resolve(message.hypotheses);
    else open.reject(new GptError(message.code, message.message));
  }

  #fail(message: string): GptError {
    this.#failure ??= this.#closing ? cancelled() : new GptError("engine_failed", message);
    for (const { reject } of this.#open.values()) reject(this.#failure);
    this.#open.clear();
    return this.#failure;
  }
}

function cancelled(): GptError {
  return new GptError("cancelled", "the request was cancelled");
}
