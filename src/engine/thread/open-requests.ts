// The requests that have been accepted and not answered: limits, shares of clients, deadlines, aborts and timing. It sends no
// messages itself; the engine's reports are handed in.
import type { DecodingParams } from "../../decoding/decoding-params.ts";
import { GptError } from "../../errors.ts";
import type { FinishedRequest, Progress } from "../pass-result.ts";
import { type GenerationRequest, tokensForLife } from "../sequence.ts";
import { ClientShares } from "./client-shares.ts";
import type { Clock } from "./clock.ts";
import type { PassReport } from "./messages.ts";

export interface SubmitOptions {
  /** When it aborts, the request is withdrawn and its promise rejects with the code `cancelled`. */
  readonly signal?: AbortSignal;
  /** Name of the client. Clients take turns and share the places in the queue. Default: an unknown client. */
  readonly client?: string;
  /** Called with tokens that have become final, except the last ones, which come with the answer. */
  readonly onTokens?: (progress: Omit<Progress, "id">) => void;
}

/** Milliseconds since the request was accepted. */
export interface Timing {
  /** From acceptance to the beginning of its first pass. */
  readonly queueMs: number;
  /** From acceptance to the first new token. */
  readonly firstTokenMs: number;
  readonly totalMs: number;
}

export interface Answer extends Omit<FinishedRequest, "request"> {
  readonly timing: Timing;
}

export interface OpenRequestsLimits {
  /** The most requests that are accepted and not finished. A named client may hold seven eighths of them. */
  readonly requestsMax: number;
  /** The most tokens of all requests that wait for their first pass. A single waiting request may have more. */
  readonly tokensMax: number;
  /** The longest time from acceptance to the answer. Infinity: no limit. */
  readonly deadlineMs: number;
}

/** One place out of this many is kept for clients other than the one with the most requests. */
const OTHERS_SHARE = 8;

interface Open {
  readonly request: GenerationRequest;
  readonly client: string;
  readonly numTokens: number;
  readonly acceptedMs: number;
  /** When its first pass began. Undefined while it waits. */
  beganMs: number | undefined;
  firstTokenMs: number;
  readonly onTokens: SubmitOptions["onTokens"];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: GptError) => void;
  /** Stops the deadline's timer and the listening to the signal. */
  readonly release: () => void;
}

export class OpenRequests {
  readonly #limits: OpenRequestsLimits;
  readonly #clock: Clock;
  readonly #withdraw: (id: number) => void;
  /** Keyed by id, oldest first. */
  readonly #open = new Map<number, Open>();
  readonly #shares = new ClientShares();
  /** Tokens of all open requests. */
  #numTokens = 0;
  #nextId = 1;

  /** `withdraw` is called with the id of a request that the engine need not answer. */
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

  /** Tokens of the waiting requests: their prompts, and the most new tokens they may need. */
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

  /** Handles the report of a pass. Unknown ids are ignored: those requests have been withdrawn meanwhile. */
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
    for (const { id, ...tokens } of progress) this.#open.get(id)?.onTokens?.(tokens);
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
   * Makes room for one more request. If there is none, the client that holds the most loses its newest waiting request, provided
   * that it still holds more than the new request's client.
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

  /** Gives up the newest waiting request of a client, which must have one. */
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

/** `Promise.withResolvers`, which Node has only from version 22 on. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: GptError) => void = () => {};
  const promise = new Promise<T>((...functions) => {
    [resolve, reject] = functions;
  });
  return { promise, resolve, reject };
}
