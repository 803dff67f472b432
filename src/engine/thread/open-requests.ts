// The requests that were accepted and not answered yet, as their callers see them: bounds, shares of clients, deadlines,
// aborts, timing. It talks to no thread: what comes from the engine is handed in.
import type { DecodingParams } from "../../decoding/decoding-params.ts";
import { GptError } from "../../errors.ts";
import type { FinishedRequest, Progress } from "../pass-result.ts";
import { type GenerationRequest, tokensForLife } from "../sequence.ts";
import { ClientShares } from "./client-shares.ts";
import type { Clock } from "./clock.ts";
import type { PassReport } from "./messages.ts";

export interface SubmitOptions {
  /** Aborted: the request is withdrawn and rejects with code `cancelled`. */
  readonly signal?: AbortSignal;
  /** Who asks: clients take turns, and places in the queue are shared among them. Default: nobody knows. */
  readonly client?: string;
  /** Called with tokens that became final; not with the last ones. */
  readonly onTokens?: (progress: Omit<Progress, "id">) => void;
}

/** Milliseconds since the request was accepted. */
export interface Timing {
  /** Until its first pass began. */
  readonly queueMs: number;
  /** Until its first new token was known. */
  readonly firstTokenMs: number;
  readonly totalMs: number;
}

export interface Answer extends Omit<FinishedRequest, "request"> {
  readonly timing: Timing;
}

export interface OpenRequestsLimits {
  /** Requests that are accepted and not finished. One client may hold seven eighths of them. */
  readonly requestsMax: number;
  /** Tokens of all requests that wait for their first pass; one that waits alone may be larger. */
  readonly tokensMax: number;
  /** Time in which a request must be answered; Infinity: any. */
  readonly deadlineMs: number;
}

/** One place in so many is kept for other clients than the one that holds most. */
const OTHERS_SHARE = 8;

interface Open {
  readonly request: GenerationRequest;
  readonly client: string;
  readonly numTokens: number;
  readonly acceptedMs: number;
  /** Undefined while it waits. */
  beganMs: number | undefined;
  firstTokenMs: number;
  readonly onTokens: SubmitOptions["onTokens"];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: GptError) => void;
  /** Stops the deadline and listens to the signal no longer. */
  readonly release: () => void;
}

export class OpenRequests {
  readonly #limits: OpenRequestsLimits;
  readonly #clock: Clock;
  readonly #withdraw: (id: number) => void;
  /** By id, oldest first. */
  readonly #open = new Map<number, Open>();
  readonly #shares = new ClientShares();
  /** Of all that are open. */
  #numTokens = 0;
  #nextId = 1;

  /** `withdraw` is called with the id of a request that the engine need not answer any more. */
  constructor(limits: OpenRequestsLimits, clock: Clock, withdraw: (id: number) => void) {
    this.#limits = limits;
    this.#clock = clock;
    this.#withdraw = withdraw;
  }

  get requests(): GenerationRequest[] {
    return [...this.#open.values()].map(({ request }) => request);
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  get numWaiting(): number {
    return this.#shares.numWaiting;
  }

  get numRunning(): number {
    return this.#open.size - this.#shares.numWaiting;
  }

  /** Of prompts, and the most that may come. */
  get waitingTokens(): number {
    return this.#shares.waitingTokens;
  }

  get runningTokens(): number {
    return this.#numTokens - this.#shares.waitingTokens;
  }

  /** @throws GptError `queue_full`, or `cancelled` when the signal is aborted already. */
  add(
    promptTokenIds: readonly number[],
    decoding: DecodingParams,
    { signal, client = "", onTokens }: SubmitOptions,
  ): { readonly request: GenerationRequest; readonly answer: Promise<Answer> } {
    if (signal?.aborted) throw cancelled();
    const numTokens = tokensForLife(promptTokenIds.length, decoding);
    this.#makeRoom(client, numTokens);
    const id = this.#nextId++;
    const number = this.#shares.add(client, id, numTokens);
    const request = { id, promptTokenIds, decoding, client: number, streams: !!onTokens };
    const { promise: answer, resolve, reject } = withResolvers<Answer>();
    const onAbort = (): void => this.#abandon(id, cancelled());
    signal?.addEventListener("abort", onAbort, { once: true });
    const stopDeadline = this.#startDeadline(id);
    const release = (): void => {
      stopDeadline();
      signal?.removeEventListener("abort", onAbort);
    };
    this.#numTokens += numTokens;
    this.#open.set(id, {
      request,
      client,
      numTokens,
      onTokens,
      resolve,
      reject,
      release,
      acceptedMs: this.#clock.now(),
      beganMs: undefined,
      firstTokenMs: 0,
    });
    return { request, answer };
  }

  /** Takes over what a pass did. Unknown ids are ignored: those requests were withdrawn meanwhile. */
  report({ beganMs, started, prefilled, progress, finished }: PassReport): void {
    for (const id of started) {
      const open = this.#open.get(id);
      if (open?.beganMs !== undefined || !open) continue;
      open.beganMs = beganMs;
      this.#shares.start(open.client, open.numTokens);
    }
    const now = this.#clock.now();
    for (const id of prefilled) {
      const open = this.#open.get(id);
      if (open) open.firstTokenMs = now - open.acceptedMs;
    }
    for (const { id, ...news } of progress) this.#open.get(id)?.onTokens?.(news);
    for (const { id, ...answer } of finished) {
      const open = this.#take(id);
      if (!open) continue;
      const { acceptedMs, firstTokenMs, beganMs = now } = open;
      const timing = { queueMs: beganMs - acceptedMs, firstTokenMs, totalMs: now - acceptedMs };
      open.resolve({ ...answer, timing });
    }
  }

  reject(id: number, error: GptError): void {
    this.#take(id)?.reject(error);
  }

  rejectAll(error: GptError): void {
    for (const id of [...this.#open.keys()]) this.reject(id, error);
  }

  /**
   * Finds room for one more request. When there is none, the client that holds most gives up its newest waiting request, if
   * it then still holds more than the newcomer's.
   * @throws GptError `queue_full`
   */
  #makeRoom(client: string, numTokens: number): void {
    const { requestsMax, tokensMax } = this.#limits;
    const own = this.#shares.of(client);
    const ownMax = client === "" ? requestsMax : requestsMax - Math.floor(requestsMax / OTHERS_SHARE);
    if (own.numOpen >= ownMax) {
      const whose = client === "" ? "" : " of this client";
      throw new GptError("queue_full", `${own.numOpen} requests${whose} are open, as many as are accepted`);
    }
    while (this.#open.size >= requestsMax) {
      const other = this.#shares.mostOpen(client);
      if (!other || other.numOpen <= own.numOpen + 1) {
        throw new GptError("queue_full", `${this.#open.size} requests are open, as many as are accepted`);
      }
      this.#displace(other.client);
    }
    while (this.#shares.waitingTokens > 0 && this.#shares.waitingTokens + numTokens > tokensMax) {
      const other = this.#shares.mostTokens(client);
      if (!other || other.waitingTokens <= own.waitingTokens + numTokens) {
        const message =
          `the requests that wait may need ${this.#shares.waitingTokens} tokens, with the ${numTokens} of this one more ` +
          `than the ${tokensMax} that are accepted`;
        throw new GptError("queue_full", message);
      }
      this.#displace(other.client);
    }
  }

  /** Gives up the newest waiting request of a client, which has one. */
  #displace(client: string): void {
    let newest: number | undefined;
    for (const [id, open] of this.#open) {
      if (open.client === client && open.beganMs === undefined) newest = id;
    }
    const message = "the queue is full, and this client has more requests in it than others that ask";
    this.#abandon(newest as number, new GptError("queue_full", message));
  }

  #startDeadline(id: number): () => void {
    const { deadlineMs } = this.#limits;
    if (deadlineMs === Number.POSITIVE_INFINITY) return () => {};
    const message = `the request was not finished within ${deadlineMs} milliseconds`;
    return this.#clock.after(deadlineMs, () => this.#abandon(id, new GptError("timed_out", message)));
  }

  #abandon(id: number, error: GptError): void {
    this.reject(id, error);
    this.#withdraw(id);
  }

  #take(id: number): Open | undefined {
    const open = this.#open.get(id);
    if (!open) return undefined;
    this.#open.delete(id);
    this.#numTokens -= open.numTokens;
    this.#shares.remove(open.client, open.beganMs === undefined ? open.numTokens : undefined);
    open.release();
    return open;
  }
}

export function cancelled(): GptError {
  return new GptError("cancelled", "the request was cancelled");
}

/** `Promise.withResolvers`, which Node has from version 22 on. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: GptError) => void = () => {};
  const promise = new Promise<T>((...functions) => {
    [resolve, reject] = functions;
  });
  return { promise, resolve, reject };
}
