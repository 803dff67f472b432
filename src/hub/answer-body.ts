// The body of an answer, piece by piece. It is listened to from the first moment, and what has arrived is handed on even
// when the connection ends a moment later: a stream that fails forgets what nobody has read yet, and on a bad line that
// may be all that a connection brought.
import type { Readable } from "node:stream";

/** More pieces than this are not held; the other side then waits. */
const HELD_MAX = 64;
/** Of a body that nobody wants; a longer one costs its connection. */
const DROPPED_BYTES_MAX = 65_536;

export class AnswerBody {
  readonly #stream: Readable;
  readonly #silenceMs: number;
  readonly #held: Buffer[] = [];
  #end: { readonly error?: unknown } | undefined;
  #wake: () => void = () => {};

  /** None of the pieces may take longer than `silenceMs`, once it is waited for. */
  constructor(stream: Readable, silenceMs: number) {
    this.#stream = stream;
    this.#silenceMs = silenceMs;
    stream
      .on("data", this.#take)
      .once("end", () => this.#finish())
      .once("close", () => this.#finish(failed("UND_ERR_SOCKET")))
      // It may fail more than once.
      .on("error", (error) => this.#finish(error));
  }

  /** @throws Error of the stream, or one with undici's code for silence */
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
      // It is not wanted.
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

/** An error with a code of undici's, whose own limits are less exact. */
export function failed(code: "UND_ERR_HEADERS_TIMEOUT" | "UND_ERR_BODY_TIMEOUT" | "UND_ERR_SOCKET"): Error {
  return Object.assign(new Error("the connection failed"), { code });
}
