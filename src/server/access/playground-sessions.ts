// Who may use the playground: a browser that opened a one-time link, while its session lasts. The browser never gets a key.
// Other web pages in the same browser are kept out by the cookie's attributes (HttpOnly, SameSite=Strict) and by the checks
// of Host and Origin. The check of Host also defeats DNS rebinding, where a foreign name resolves to this address.
import { createHash, randomBytes } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { Settings } from "../../settings.ts";
import { AwsError } from "../http/http-errors.ts";
import type { Caller } from "./authentication.ts";
import { foreignHost, foreignOrigin } from "./place.ts";

export type PlaygroundSettings = Pick<
  Settings,
  "host" | "hostAlias" | "playgroundSessionsMax" | "playgroundSessionHours"
>;

export class PlaygroundSessions {
  readonly #settings: PlaygroundSettings;
  readonly #now: () => number;
  /** Called with the next token when one was used, so that another browser can be let in. */
  readonly #onUsed: (token: string) => void;
  #token = secret();
  /** SHA-256 of a session's secret → when it ends, oldest first. A look-up by hash leaks nothing through its timing. */
  readonly #sessions = new Map<string, number>();

  /** `now`: milliseconds of a monotonic clock. */
  constructor(settings: PlaygroundSettings, now: () => number, onUsed: (token: string) => void) {
    this.#settings = settings;
    this.#now = now;
    this.#onUsed = onUsed;
  }

  /** The token of the next link. */
  get token(): string {
    return this.#token;
  }

  /** Opens a session for the token of a link, and returns its cookie; undefined for any other text. */
  open(token: string, request: FastifyRequest): string | undefined {
    if (digest(token) !== digest(this.#token)) return undefined;
    this.#token = secret();
    const { playgroundSessionHours: hours, playgroundSessionsMax } = this.#settings;
    const session = secret();
    this.#sessions.set(digest(session), this.#now() + hours * HOUR_MS);
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= playgroundSessionsMax) break;
      this.#sessions.delete(oldest);
    }
    this.#onUsed(this.#token);
    const secure = "encrypted" in request.raw.socket ? "; Secure" : "";
    return `${cookieName(request)}=${session}; Path=/; Max-Age=${hours * 3600}; HttpOnly; SameSite=Strict${secure}`;
  }

  /** Whether a request belongs to an open session. */
  knows(request: FastifyRequest): boolean {
    const now = this.#now();
    for (const [key, endMs] of this.#sessions) if (endMs <= now) this.#sessions.delete(key);
    const session = cookieOf(request);
    return session !== undefined && this.#sessions.has(digest(session));
  }

  /** @throws AwsError if Host or Origin is not this server's */
  checkPlace(request: FastifyRequest): void {
    const host = foreignHost(request, this.#settings);
    if (host !== undefined) {
      throw forbidden(
        `The playground is not at ${host}; if a proxy uses that name, add it with --host-alias`,
      );
    }
    const origin = foreignOrigin(request, this.#settings);
    if (origin !== undefined) {
      throw forbidden(`The playground answers its own page only, not one of ${origin}`);
    }
  }

  /** @throws AwsError unless the request comes from the page of an open session */
  check(request: FastifyRequest): Caller {
    this.checkPlace(request);
    // A page of another port is of the same site: the cookie comes with what it embeds, and no Origin does. Links lead to the page alone.
    const { "sec-fetch-site": site } = request.headers;
    if (site !== undefined && site !== "same-origin" && site !== "none") {
      throw forbidden("The playground answers its own page only, not one of another origin");
    }
    if (this.knows(request)) return { keyId: "playground", endpoints: "*" };
    throw new AwsError(
      { type: "PlaygroundSessionEnded", status: 401 },
      "There is no such session, or it has ended; open the link that the server prints",
    );
  }
}

const HOUR_MS = 3_600_000;

/** 32 random bytes: too many to guess. */
function secret(): string {
  return randomBytes(32).toString("base64url");
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Browsers share cookies between all ports of a host, so the name has the port. */
function cookieName({ raw }: FastifyRequest): string {
  return `gpt2-playground-${raw.socket.localPort ?? 0}`;
}

function cookieOf(request: FastifyRequest): string | undefined {
  const name = cookieName(request);
  for (const part of (request.headers.cookie ?? "").split(";")) {
    const [key, value] = part.trim().split("=", 2);
    if (key === name) return value;
  }
  return undefined;
}

function forbidden(message: string): AwsError {
  return new AwsError({ type: "PlaygroundForbidden", status: 403 }, message);
}
