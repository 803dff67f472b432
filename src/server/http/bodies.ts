// Receives the bodies of requests. Each has a limit, and all of a server together have another. When the common limit is
// reached, the largest unfinished body is dropped, so that a few large bodies do not harm many small ones. A body is received
// only when somebody asks for it. What it means is not known here.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import { GptError } from "../../errors.ts";
import type { Settings } from "../../settings.ts";
import { AwsError, bodyTooLarge } from "./http-errors.ts";

export type BodySettings = Pick<Settings, "bodyBytesMax" | "bodiesBytesMax" | "refusedBytesMax">;

/** A body while it is received. It is one buffer that grows: a list of tiny chunks would take many times the memory. */
class GrowingBody {
  #buffer = Buffer.alloc(0);
  #length = 0;
  readonly #expected: number;

  /** `expected`: the length that was declared, or else the longest allowed. */
  constructor(expected: number) {
    this.#expected = expected;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory that the buffer takes. */
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

  /** Returns the bytes, and releases them here. */
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

/** The bodies that are being received, on all connections of a server. */
export class Bodies {
  readonly #settings: BodySettings;
  readonly #receiving = new Set<Receiving>();
  #held = 0;

  constructor(settings: BodySettings) {
    this.#settings = settings;
  }

  /** Bytes of memory of all of them, at most `bodiesBytesMax`. */
  get held(): number {
    return this.#held;
  }

  /** @throws AwsError if Content-Length is too large. */
  checkDeclared({ headers }: IncomingMessage): void {
    if (Number(headers["content-length"]) > this.#settings.bodyBytesMax) throw bodyTooLarge(this.#settings);
  }

  /**
   * Receives a whole body.
   * @throws AwsError 413 for a body that is too large, 503 for one that was dropped to make room; GptError `cancelled` when
   * the caller left.
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
  return new AwsError("ServiceUnavailable", "The server has no room for more request bodies now", {
    headers: { "retry-after": "1" },
  });
}

/**
 * Receives the rest of an unwanted body and drops it. Resolves at the end of the body, or after `bytesMax` bytes. If the server
 * closed the connection while the client still sends, TCP would reset it, and many clients would never see the answer.
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
    request.on("error", () => {}); // The caller left.
    request.on("data", onData).on("end", onOver).on("close", onOver);
  });
}

/** Whether more bytes of the body may come. */
export function isUnfinished({ complete, readableEnded, destroyed, headers }: IncomingMessage): boolean {
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > 0;
  return hasBody && !(complete || readableEnded || destroyed);
}

/**
 * `Expect: 100-continue`: the client waits with its body. It gets 100 when the body is wanted. Until then it can be refused
 * for its head alone.
 */
export class Expectations {
  readonly #asked = new WeakMap<IncomingMessage, ServerResponse>();

  constructor(app: FastifyInstance) {
    const server: Server = app.server;
    server.on("checkContinue", (request, response) => {
      this.#asked.set(request, response);
      server.emit("request", request, response);
    });
    // Node answers any other Expect header with a bare 417. RFC 9110 allows to ignore it, so the request is handled as usual.
    server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  }

  /** Sends 100 if the client waits for it. */
  goOn(request: IncomingMessage): void {
    this.#asked.get(request)?.writeContinue();
    this.#asked.delete(request);
  }

  /** Whether the client still waits for 100. */
  isOpen(request: IncomingMessage): boolean {
    return this.#asked.has(request);
  }
}
