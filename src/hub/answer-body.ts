// The body of an HTTP answer as an async iterable of buffers. A Node stream that fails drops what it has buffered and nobody
// has read. On a bad line that may be all that a connection brought. So this class reads from the first moment into a
// buffer of its own, and hands that over before it reports the error.
import type { Readable } from "node:stream";

/** With so many buffered pieces the stream is paused (back-pressure). */
const HELD_MAX = 64;
/** The most that is read of an unwanted body to keep its connection. For a longer body the connection is closed. */
const DROPPED_BYTES_MAX = 65_536;

export class AnswerBody {
  readonly #stream: Readable;
  readonly #silenceMs: number;
  readonly #held: Buffer[] = [];
  #end: { readonly error?: unknown } | undefined;
  #wake: () => void = () => {};

  /** `silenceMs`: the longest wait for the next piece, in milliseconds. */
  constructor(stream: Readable, silenceMs: number) {
    this.#stream = stream;
    this.#silenceMs = silenceMs;
    stream
      .on("data", this.#take)
      .once("end", () => this.#finish())
      .once("close", () => this.#finish(failed("UND_ERR_SOCKET")))
      // `on`, not `once`: a stream may emit several errors, and one without a listener would end the process.
      .on("error", (error) => this.#finish(error));
  }

  /** @throws The stream's error; an error with undici's code for a timeout when no piece comes in time. */
  async *pieces(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        const piece = this.#held.shift();
        if (piece !== undefined) {
          yield piece;
        } else if (this.#end !== undefined) {
          if (this.#end.error !== undefined) throw this.#end.error;
          return;
        } else {
          if (this.#stream.isPaused()) this.#stream.resume();
          await this.#change();
        }
      }
    } finally {
      this.#stream.destroy();
    }
  }

  /** Reads a short body to its end, so that its connection can be used again; resolves when it is over. */
  async drop(): Promise<void> {
    let length = 0;
    const late = setTimeout(() => this.destroy(), this.#silenceMs);
    try {
      for await (const piece of this.pieces()) {
        length += piece.length;
        if (length > DROPPED_BYTES_MAX) break;
      }
    } catch {
      // Nobody wanted this body, so its error does not matter.
    }
    clearTimeout(late);
  }

  destroy(error?: Error): void {
    this.#stream.destroy(error);
  }

  readonly #take = (piece: Buffer): void => {
    this.#held.push(piece);
    if (this.#held.length >= HELD_MAX) this.#stream.pause();
    this.#wake();
  };

  #finish(error?: unknown): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#wake();
  }

  /** Resolves with the next piece or the end. */
  async #change(): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#wake = resolve;
      late = setTimeout(() => reject(failed("UND_ERR_BODY_TIMEOUT")), this.#silenceMs);
    }).finally(() => clearTimeout(late));
  }
}

/** An error with one of undici's codes. undici's own timeouts raise the same codes, but are less exact. */
export function failed(code: "UND_ERR_HEADERS_TIMEOUT" | "UND_ERR_BODY_TIMEOUT" | "UND_ERR_SOCKET"): Error {
  return Object.assign(new Error("the connection failed"), { code });
}
