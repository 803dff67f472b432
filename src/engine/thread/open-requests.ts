// The requests that were accepted and not answered yet, as their callers see them: bounds, deadlines, aborts, timing. It
// talks to no thread: what comes from the engine is handed in.
import type { DecodingParams } from "../../decoding/decoding-params.ts";
import type { Hypothesis } from "../../decoding/strategy.ts";
import { GptError } from "../../errors.ts";
import type { GenerationRequest } from "../sequence.ts";
import type { Clock } from "./clock.ts";
import type { PassReport } from "./messages.ts";

export interface SubmitOptions {
  /** Aborted: the request is withdrawn and rejects with code `cancelled`. */
  readonly signal?: AbortSignal;
  /** Who asks: requests of different clients take turns. Default "". */
  readonly client?: string;
  /** Called with tokens that became final, for the first sequences of the answer, in its order; not with the last ones. */
  readonly onTokens?: (tokenIds: readonly (readonly number[])[]) => void;
}

/** Milliseconds since the request was accepted. */
export interface Timing {
  /** Until its first pass began. */
  readonly queueMs: number;
  /** Until its first new token was known. */
  readonly firstTokenMs: number;
  readonly totalMs: number;
}

export interface Answer {
  readonly hypotheses: readonly Hypothesis[];
  /** Prompt tokens whose keys and values were found, not computed. */
  readonly cachedTokens: number;
  readonly timing: Timing;
}

export interface OpenRequestsLimits {
  /** Requests that are accepted and not finished. */
  readonly requestsMax: number;
  /** Tokens of all requests that wait for their first pass; one that waits alone may be larger. */
  readonly tokensMax: number;
  /** Time in which a request must be answered; Infinity: any. */
  readonly deadlineMs: number;
}

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
  readonly #open = new Map<number, Open>();
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

  get numWaiting(): number {
    return this.#waiting().length;
  }

  get numRunning(): number {
    return this.#open.size - this.numWaiting;
  }

  /** @throws GptError `queue_full`, or `cancelled` when the signal is aborted already. */
  add(
    promptTokenIds: readonly number[],
    decoding: DecodingParams,
    { signal, client = "", onTokens }: SubmitOptions,
  ): { readonly request: GenerationRequest; readonly answer: Promise<Answer> } {
    if (signal?.aborted) throw cancelled();
    const numTokens = tokensForLife(promptTokenIds.length, decoding);
    this.#checkRoom(numTokens);
    const id = this.#nextId++;
    const request = { id, promptTokenIds, decoding, client: this.#numberOf(client, id), streams: !!onTokens };
    const { promise: answer, resolve, reject } = withResolvers<Answer>();
    const onAbort = (): void => this.#abandon(id, cancelled());
    signal?.addEventListener("abort", onAbort, { once: true });
    const stopDeadline = this.#startDeadline(id);
    const release = (): void => {
      stopDeadline();
      signal?.removeEventListener("abort", onAbort);
    };
    this.#open.set(id, {
      ...{ request, client, numTokens, onTokens, resolve, reject, release },
      ...{ acceptedMs: this.#clock.now(), beganMs: undefined, firstTokenMs: 0 },
    });
    return { request, answer };
  }

  /** Takes over what a pass did. Unknown ids are ignored: those requests were withdrawn meanwhile. */
  report({ beganMs, started, prefilled, progress, finished }: PassReport): void {
    for (const id of started) {
      const open = this.#open.get(id);
      if (open) open.beganMs = beganMs;
    }
    const now = this.#clock.now();
    for (const id of prefilled) {
      const open = this.#open.get(id);
      if (open) open.firstTokenMs = now - open.acceptedMs;
    }
    for (const { id, tokenIds } of progress) this.#open.get(id)?.onTokens?.(tokenIds);
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

  #checkRoom(numTokens: number): void {
    const { requestsMax, tokensMax } = this.#limits;
    if (this.#open.size >= requestsMax) {
      const message = `${this.#open.size} requests are open, as many as are accepted`;
      throw new GptError("queue_full", message);
    }
    const waiting = this.#waiting().reduce((sum, open) => sum + open.numTokens, 0);
    if (waiting > 0 && waiting + numTokens > tokensMax) {
      const message =
        `the requests that wait may need ${waiting} tokens, with the ${numTokens} of this one more than the ` +
        `${tokensMax} that are accepted`;
      throw new GptError("queue_full", message);
    }
  }

  #waiting(): Open[] {
    return [...this.#open.values()].filter(({ beganMs }) => beganMs === undefined);
  }

  /** A number for a client: that of its open requests, or a new one. */
  #numberOf(client: string, id: number): number {
    for (const open of this.#open.values()) if (open.client === client) return open.request.client;
    return id;
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
    this.#open.delete(id);
    open?.release();
    return open;
  }
}

export function cancelled(): GptError {
  return new GptError("cancelled", "the request was cancelled");
}

/** The tokens a request may need: its prompt once, and the new ones of each sequence that is computed. */
function tokensForLife(
  promptLength: number,
  { search, maxLength, numReturnSequences }: DecodingParams,
): number {
  const sampled = search.kind === "sample" ? numReturnSequences : 1;
  const width = search.kind === "beam" ? search.numBeams : sampled;
  return promptLength + width * (maxLength - promptLength);
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
