// The engine thread as the main thread sees it: requests go in, promises come back. When the thread dies, its open requests fail
// and a new thread is started. After a second death no request is answered any more.
import type { MessagePort, Worker } from "node:worker_threads";
import type { DecodingParams } from "../../decoding/decoding-params.ts";
import { GptError, messageOf } from "../../errors.ts";
import { addCounts, type EngineCounts, type EngineStats, NO_COUNTS, NO_STATS } from "../counts.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import type { FromEngine, ToEngine } from "./messages.ts";
import { type Answer, cancelled, OpenRequests, type SubmitOptions } from "./open-requests.ts";
import { Watchdog } from "./watchdog.ts";

/** `restarting`: the thread died and its successor is loading. `failed`: the successor died too. */
export type EngineHealth = "ready" | "restarting" | "failed";

export interface EngineThread {
  readonly worker: Worker;
  /** A port for each helper thread of the engine. It closes when that thread ends, for whatever reason. */
  readonly lifelines: readonly MessagePort[];
}

export interface WorkerEngineOptions {
  /** Starts a thread that runs `runEngineLoop`. */
  readonly spawn: () => EngineThread;
  /** The most requests that are accepted and not finished. Further ones are refused with `queue_full`. */
  readonly queueRequestsMax: number;
  /** The most tokens, of prompts and new ones, of all requests that wait for their first pass. Default: no limit. */
  readonly queueTokensMax?: number;
  /** The longest time for a request. After that it is given up with `timed_out`. Default: no limit. */
  readonly requestDeadlineMs?: number;
  /**
   * If there are requests and the thread sends no message for this long, it hangs. That is treated like any other death of the
   * thread. Default: no limit.
   */
  readonly stallTimeoutMs?: number;
  /** Called with something that the operator should know. */
  readonly onProblem?: (message: string) => void;
  /** Called with the fraction of the weights that has been read, from 0 to 1, at the start and at a restart. */
  readonly onLoading?: (part: number) => void;
  /** Called when the thread dies after its start. `isFatal`: it is not replaced. */
  readonly onDeath?: (error: GptError, isFatal: boolean) => void;
  /** Called when `close` has ended the thread, or has given up trying. */
  readonly onClosed?: () => void;
  readonly clock?: Clock;
}

/** The time for a thread to end by itself. It finishes its pass and saves packed weights for the next start. */
const CLOSE_TIMEOUT_MS = 60_000;
/** The time for a thread to disappear after it is terminated. */
const TERMINATE_TIMEOUT_MS = 2000;

export class WorkerEngine {
  readonly #options: WorkerEngineOptions;
  readonly #requests: OpenRequests;
  readonly #watchdog: Watchdog;
  readonly #clock: Clock;
  /** Declares the present thread dead. */
  #fail: (message: string) => void = () => {};
  #worker: Worker | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #health: EngineHealth = "ready";
  #restarts = 0;
  #failure: GptError | undefined;
  #stats = NO_STATS;
  /** The counts of the dead thread. */
  #countsBefore = NO_COUNTS;

  private constructor(options: WorkerEngineOptions) {
    const {
      queueRequestsMax: requestsMax,
      queueTokensMax: tokensMax = Number.POSITIVE_INFINITY,
      requestDeadlineMs: deadlineMs = Number.POSITIVE_INFINITY,
      stallTimeoutMs = Number.POSITIVE_INFINITY,
      clock = SYSTEM_CLOCK,
    } = options;
    this.#options = options;
    this.#requests = new OpenRequests({ requestsMax, tokensMax, deadlineMs }, clock, (id) => {
      this.#post({ type: "abort", id });
    });
    this.#clock = clock;
    const isBusy = (): boolean => !this.#requests.isEmpty;
    this.#watchdog = new Watchdog(clock, stallTimeoutMs, isBusy, () => {
      this.#fail(`the engine thread has requests and reported no pass for ${stallTimeoutMs / 1000} seconds`);
    });
  }

  /**
   * Starts the thread and waits until its model is loaded.
   * @throws GptError with the thread's own code when it cannot start.
   */
  static async start<Info>(options: WorkerEngineOptions): Promise<{ engine: WorkerEngine; info: Info }> {
    const engine = new WorkerEngine(options);
    const info = await engine.#launch<Info>();
    return { engine, info };
  }

  get health(): EngineHealth {
    return this.#health;
  }

  /** @throws GptError `queue_full`, `cancelled`, `timed_out`, `engine_failed` or what the engine refuses it with. */
  async submit(
    promptTokenIds: readonly number[],
    decoding: DecodingParams,
    options: SubmitOptions = {},
  ): Promise<Answer> {
    if (this.#failure) throw this.#failure;
    if (this.#requests.isEmpty) this.#watchdog.heard();
    const { request, answer } = this.#requests.add(promptTokenIds, decoding, options);
    this.#post({ type: "submit", request });
    return answer;
  }

  /** The numbers of requests are current. The others are from the thread's last message. */
  stats(): EngineStats {
    const { numWaiting, numRunning, waitingTokens, runningTokens } = this.#requests;
    const { tokensPerSecond } = this.#stats;
    return {
      ...this.#stats,
      ...this.#counts(),
      requestsWaiting: numWaiting,
      requestsRunning: numRunning,
      waitingTokens,
      runningTokens,
      waitingSeconds: tokensPerSecond === 0 ? 0 : waitingTokens / tokensPerSecond,
      restarts: this.#restarts,
    };
  }

  /** The counts of all threads so far. */
  #counts(): EngineCounts {
    return addCounts(this.#countsBefore, this.#stats);
  }

  /**
   * Ends the thread. Open requests are rejected with `cancelled`. A thread that does not end by itself within `timeoutMs`, because
   * it hangs or is still loading, is terminated.
   */
  async close(timeoutMs = CLOSE_TIMEOUT_MS): Promise<void> {
    this.#failure ??= cancelled();
    this.#watchdog.stop();
    this.#requests.rejectAll(cancelled());
    this.#post({ type: "close" });
    await untilOrAfter(this.#exited, this.#clock, timeoutMs);
    // Not even that ends a thread that is blocked in a system call, such as a read from a disk that does not answer.
    if (this.#worker) await untilOrAfter(this.#worker.terminate(), this.#clock, TERMINATE_TIMEOUT_MS);
    this.#options.onClosed?.();
  }

  /** Starts a thread and submits the open requests to it. Resolves when its model is loaded. */
  #launch<Info>(): Promise<Info> {
    const { worker, lifelines } = this.#options.spawn();
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once("exit", resolve));
    // At the first start nothing is open. At a restart these are the requests that came while there was no thread.
    for (const request of this.#requests.requests) this.#post({ type: "submit", request });
    return new Promise((resolve, reject) => {
      let isReady = false;
      const die = (error: GptError): void => {
        if (worker !== this.#worker) return; // Its death has been handled already.
        this.#worker = undefined;
        reject(error);
        void this.#bury(worker, error, isReady);
      };
      const fail = (message: string): void => die(new GptError("engine_failed", message));
      this.#fail = fail;
      worker.on("message", (message: FromEngine<Info>) => {
        if (worker !== this.#worker) return;
        this.#watchdog.heard();
        if (message.type === "failed") return die(new GptError(message.code, message.message));
        if (message.type === "problem") return this.#options.onProblem?.(message.message);
        if (message.type === "loading") return this.#options.onLoading?.(message.part);
        if (message.type === "ready") {
          isReady = true;
          this.#health = "ready";
          this.#watchdog.start();
          resolve(message.info);
        }
        this.#receive(message);
      });
      worker.on("error", (error) => fail(`the engine thread failed: ${messageOf(error)}`));
      worker.on("exit", () => fail("the engine thread ended"));
      // If a helper dies in the middle of a kernel, the engine thread waits for it for ever and cannot notice.
      for (const port of lifelines) port.on("close", () => fail("a helper thread of the engine ended"));
    });
  }

  #receive(message: Exclude<FromEngine<unknown>, { type: "failed" | "problem" | "loading" }>): void {
    if (message.type === "refused") {
      this.#requests.reject(message.id, new GptError(message.code, message.message));
      return;
    }
    this.#stats = message.stats;
    if (message.type === "pass") this.#requests.report(message);
  }

  /** After a death: fails the open requests, and starts a successor unless there has been one or the engine is closing. */
  async #bury(worker: Worker, cause: GptError, wasReady: boolean): Promise<void> {
    this.#countsBefore = this.#counts();
    this.#stats = { ...NO_STATS, pagesTotal: this.#stats.pagesTotal };
    this.#watchdog.stop();
    const error = new GptError("engine_failed", cause.message, { cause });
    const restarts = wasReady && this.#restarts === 0 && !this.#failure;
    const isReported = !this.#failure && (wasReady || this.#restarts > 0);
    if (restarts) {
      this.#health = "restarting";
      this.#restarts += 1;
    } else if (!this.#failure) {
      this.#health = "failed";
      this.#failure = error;
    }
    if (isReported) this.#options.onDeath?.(error, !restarts);
    this.#requests.rejectAll(error);
    // The dead thread must free its memory first: the successor needs as much.
    await untilOrAfter(worker.terminate(), this.#clock, TERMINATE_TIMEOUT_MS);
    if (restarts && !this.#failure) this.#launch().catch(() => {}); // A second death is reported by `onDeath`.
  }

  #post(message: ToEngine): void {
    this.#worker?.postMessage(message);
  }
}

/** Resolves when `event` settles, or after `ms` milliseconds. */
function untilOrAfter(event: Promise<unknown>, clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const stop = clock.after(ms, resolve);
    const done = (): void => {
      stop();
      resolve();
    };
    event.then(done, done);
  });
}
