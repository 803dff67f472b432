// One request while it is open: from its head to the last byte of its answer, and no longer than its connection.
import type { IncomingMessage, ServerResponse } from "node:http";

/** `aborted`: the connection ended before the answer had left. */
export type Ending = "answered" | "aborted";

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly #gone = new AbortController();
  readonly #listeners: ((ending: Ending) => void)[] = [];
  #ending: Ending | undefined;
  #completeMs: number | undefined;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    // Node says so too when the connection was cut before the last bytes had left.
    response.prependOnceListener("finish", () => this.end(request.socket.destroyed ? "aborted" : "answered"));
    response.once("close", () => this.end("aborted"));
  }

  /** Aborted when the caller left before the answer had. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Calls back once: when the request is open no longer, or at once when it is over already. */
  onOver(listener: (ending: Ending) => void): void {
    if (this.#ending === undefined) this.#listeners.push(listener);
    else listener(this.#ending);
  }

  end(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    if (ending === "aborted") this.#gone.abort();
    for (const listener of this.#listeners) listener(ending);
  }

  /** How long the answer is known to be complete, in milliseconds; to be asked now and then. */
  unreadFor(nowMs: number): number {
    if (this.response.writableEnded) this.#completeMs ??= nowMs;
    return nowMs - (this.#completeMs ?? nowMs);
  }

  /** Says in the answer whether the connection ends with it, if the answer has not begun. */
  announceEnd(isLast: boolean): void {
    if (this.response.headersSent) return;
    if (isLast) this.response.setHeader("connection", "close");
    else this.response.removeHeader("connection");
  }
}
