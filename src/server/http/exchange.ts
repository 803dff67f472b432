// One open request: from its head to the last byte of its answer, or to the end of its connection.
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
    // Node also emits "finish" if the connection was cut before the last bytes were sent.
    response.prependOnceListener("finish", () => this.end(request.socket.destroyed ? "aborted" : "answered"));
    response.once("close", () => this.end("aborted"));
  }

  /** Aborted when the caller leaves before the whole answer was sent. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Calls `listener` once, when the request is over; at once if it is over already. */
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

  /** Milliseconds since a call first saw the answer complete; 0 before. Call it repeatedly. */
  unreadFor(nowMs: number): number {
    if (this.response.writableEnded) this.#completeMs ??= nowMs;
    return nowMs - (this.#completeMs ?? nowMs);
  }

  /** Sets or removes `connection: close`, unless the headers are sent already. */
  announceEnd(isLast: boolean): void {
    if (this.response.headersSent) return;
    if (isLast) this.response.setHeader("connection", "close");
    else this.response.removeHeader("connection");
  }
}
