// Bodies while they are received: each within its own limit, all together within one for the server. When that one is
// reached, the largest unfinished body is given up, so that many small ones never suffer from a few large ones. Nothing
// here knows what a body means, and none is received before somebody asks for it.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import { GptError } from "../../errors.ts";
import type { Settings } from "../../settings.ts";
import { AwsError, bodyTooLarge } from "./http-errors.ts";

export type BodySettings = Pick<Settings, "bodyBytesMax" | "bodiesBytesMax" | "refusedBytesMax">;

/** A body that grows. Its bytes lie together: as a list of chunks, one byte each perhaps, they would take many times as much. */
class GrowingBody {
  #buffer = Buffer.alloc(0);
  #length = 0;
  readonly #expected: number;

  /** `expected`: the length it has if all comes, or the largest it may have. */
  constructor(expected: number) {
    this.#expected = expected;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory. */
  get held(): number {
    return this.#buffer.length;
  }

  append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#buffer.length) {
      const size = Math.max(length, Math.min(this.#expected, Math.max(FIRST_BYTES, 2 * this.#buffer.length)));
      const larger = Buffer.allocUnsafeSlow(size);
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = length;
  }

  /** Its bytes, which it then holds no longer. */
  take(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#buffer = Buffer.alloc(0);
    return bytes;
  }
}

const FIRST_BYTES = 4096;

interface Receiving {
  readonly body: GrowingBody;
  readonly giveUp: (error: Error) => void;
}

/** The bodies that are being received on all connections of a server. */
export class Bodies {
  readonly #settings: BodySettings;
  readonly #receiving = new Set<Receiving>();
  #held = 0;

  constructor(settings: BodySettings) {
    this.#settings = settings;
  }

  /** Bytes held now, at most `bodiesBytesMax`. */
  get held(): number {
    return this.#held;
  }

  /** @throws AwsError when a body is announced that is too large. */
  checkDeclared({ headers }: IncomingMessage): void {
    if (Number(headers["content-length"]) > this.#settings.bodyBytesMax) throw bodyTooLarge(this.#settings);
  }

  /**
   * Receives a body whole.
   * @throws AwsError 413 for one that is too large, 503 for one that had to make room; GptError `cancelled` when its
   * caller left.
   */
  receive(request: IncomingMessage): Promise<Buffer> {
    const body = new GrowingBody(Number(request.headers["content-length"] ?? this.#settings.bodyBytesMax));
    return new Promise((resolve, reject) => {
      const stop = (): Buffer => {
        request.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
        this.#receiving.delete(receiving);
        this.#held -= body.held;
        return body.take();
      };
      const giveUp = (error: Error): void => {
        stop();
        reject(error);
      };
      const onData = (chunk: Buffer): void => {
        if (body.length + chunk.length > this.#settings.bodyBytesMax) giveUp(bodyTooLarge(this.#settings));
        else this.#append(body, chunk);
      };
      const onEnd = (): void => resolve(stop());
      const onGone = (): void => giveUp(new GptError("cancelled", "the caller left"));
      const receiving = { body, giveUp };
      this.#receiving.add(receiving);
      request.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
      if (request.destroyed) onGone();
    });
  }

  #append(body: GrowingBody, chunk: Buffer): void {
    this.#held -= body.held;
    body.append(chunk);
    this.#held += body.held;
    if (this.#held > this.#settings.bodiesBytesMax) this.#largest().giveUp(noRoom());
  }

  #largest(): Receiving {
    return [...this.#receiving].reduce((a, b) => (b.body.held > a.body.held ? b : a));
  }
}

function noRoom(): AwsError {
  return new AwsError(
    "ServiceUnavailable",
    "The server is receiving as many bytes of requests as it may hold",
    {
      headers: { "retry-after": "1" },
    },
  );
}

/**
 * Receives and drops what is left of a body that nobody wants; resolves when it is over or `bytesMax` bytes are. A connection
 * that closes while its client still sends is reset, and many clients then never see the answer: so it has to be kept open
 * until then.
 */
export function discardRest(request: IncomingMessage, bytesMax: number): Promise<"over" | "too much"> {
  return new Promise((resolve) => {
    let bytes = 0;
    const stop = (how: "over" | "too much") => (): void => {
      request.off("data", onData).off("end", onOver).off("close", onOver);
      resolve(how);
    };
    const onOver = stop("over");
    const onTooMuch = stop("too much");
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > bytesMax) onTooMuch();
    };
    request.on("error", () => {}); // Its caller left.
    request.on("data", onData).on("end", onOver).on("close", onOver);
  });
}

/** Whether bytes of a body may still come. */
export function isUnfinished({ complete, readableEnded, destroyed, headers }: IncomingMessage): boolean {
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > 0;
  return hasBody && !(complete || readableEnded || destroyed);
}

/**
 * `Expect: 100-continue`, with which a client asks before it uploads: it is told to go on when its body is wanted, and
 * until then it can be refused for its head alone.
 */
export class Expectations {
  readonly #asked = new WeakMap<IncomingMessage, ServerResponse>();

  constructor(app: FastifyInstance) {
    const server: Server = app.server;
    server.on("checkContinue", (request, response) => {
      this.#asked.set(request, response);
      server.emit("request", request, response);
    });
    // Node answers 417 without a body to an Expect header other than 100-continue; it may as well be ignored.
    server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  }

  /** The body is wanted. */
  goOn(request: IncomingMessage): void {
    this.#asked.get(request)?.writeContinue();
    this.#asked.delete(request);
  }

  /** Whether its client still waits to be told. */
  isOpen(request: IncomingMessage): boolean {
    return this.#asked.has(request);
  }
}
