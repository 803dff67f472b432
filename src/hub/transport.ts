// HTTP to the hub, one attempt at a time: the direct way or through a proxy, redirects followed by hand so that the token
// never leaves the hub's own origin, and no answer that may take for ever. The library, undici, is loaded with the first
// transport: a model that is in the cache needs none.
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { AnswerBody, failed } from "./answer-body.ts";
import { connectionFailure, type Failure, notAHub, printable } from "./failure.ts";
import type { HubEnvironment } from "./hub-environment.ts";
import { proxyFor } from "./proxies.ts";

export interface HubAnswer {
  readonly status: number;
  /** The address that answered, after all redirects. */
  readonly url: URL;
  /** By lower-case name; of several headers of one name, the first. */
  readonly header: (name: string) => string | undefined;
  readonly body: AnswerBody;
}

export interface HubRequest {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** False for an answer that is a redirect: it is not followed. Default: all are. */
  readonly follow?: (redirect: HubAnswer) => boolean;
}

/** Of the hub that names itself in its answers, whichever mirror passes them on. */
const HUB_ORIGIN = "https://huggingface.co";
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const REDIRECTS_MAX = 10;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

type Undici = typeof import("undici");

export class Transport {
  readonly #undici: Undici;
  readonly #environment: HubEnvironment;
  readonly #endpoint: URL;
  readonly #authorization: string | undefined;
  /** By proxy; "": the direct way. */
  readonly #dispatchers = new Map<string, Dispatcher>();

  private constructor(undici: Undici, environment: HubEnvironment) {
    this.#undici = undici;
    this.#environment = environment;
    this.#endpoint = new URL(environment.endpoint);
    const token = environment.token();
    this.#authorization = token && !sendsInTheOpen(environment) ? `Bearer ${token.value}` : undefined;
  }

  /** @throws GptError `invalid_config` when the token cannot be read. */
  static async open(environment: HubEnvironment): Promise<Transport> {
    return new Transport(await import("undici"), environment);
  }

  /**
   * Sends one request and follows redirects; whoever gets the answer reads its body or destroys it.
   * @throws Failure when there is no answer, or redirects lead nowhere.
   */
  async send(address: string, request: HubRequest = {}): Promise<HubAnswer> {
    const asked = new URL(address);
    let url = asked;
    for (let hops = 0; hops <= REDIRECTS_MAX; hops++) {
      const answer = await this.#ask(url, request);
      const isRedirect = REDIRECTS.includes(answer.status);
      if (!isRedirect || request.follow?.(answer) === false) return answer;
      await answer.body.drop();
      url = this.#target(answer);
    }
    throw notAHub(asked.host, `more than ${REDIRECTS_MAX} redirects`);
  }

  /** An address that an answer names: relative ones resolved, those of the hub itself led to its mirror. */
  resolve(reference: string, base: URL): URL | undefined {
    if (!URL.canParse(reference, base.href)) return undefined;
    const url = new URL(reference, base);
    if (url.origin !== HUB_ORIGIN || this.#endpoint.origin === HUB_ORIGIN) return url;
    return new URL(`${this.#environment.endpoint}${url.pathname}${url.search}`);
  }

  /** True for addresses of the hub's own origin. */
  isHub(url: URL): boolean {
    return url.origin === this.#endpoint.origin;
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy()));
  }

  #target(answer: HubAnswer): URL {
    const location = answer.header("location") ?? "";
    const url = location === "" ? undefined : this.resolve(location, answer.url);
    const { host, protocol } = answer.url;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw notAHub(host, `it redirects to ${JSON.stringify(printable(location).slice(0, 60))}`);
    }
    if (protocol === "https:" && url.protocol === "http:")
      throw notAHub(host, "it redirects from https to http");
    return url;
  }

  async #ask(url: URL, { method = "GET", headers = {}, signal }: HubRequest): Promise<HubAnswer> {
    const proxy = proxyFor(url, this.#environment.proxies);
    const { connectTimeoutMs, headersTimeoutMs, silenceTimeoutMs } = this.#environment;
    const guard = new Guard(signal, connectTimeoutMs + headersTimeoutMs);
    try {
      const asking = this.#undici.request(url.href, {
        method,
        headers: {
          // Without this, a file may come compressed, its length and its ranges unknown.
          "accept-encoding": "identity",
          "user-agent": "gpt2-api",
          ...headers,
          ...(this.#authorization !== undefined && this.isHub(url) && { authorization: this.#authorization }),
        },
        dispatcher: this.#dispatcherFor(proxy),
        signal: guard.signal,
        headersTimeout: headersTimeoutMs,
        bodyTimeout: silenceTimeoutMs,
      });
      const { statusCode, headers: fields, body } = await guard.race(asking);
      guard.headersCame(body);
      const first = (name: string): string | undefined => [fields[name]].flat()[0];
      return { status: statusCode, url, header: first, body: new AnswerBody(body, silenceTimeoutMs) };
    } catch (error) {
      guard.end();
      this.#forget(proxy);
      signal?.throwIfAborted();
      throw this.#failure(error, url);
    }
  }

  /**
   * The pieces of an answer's body, none of which may take longer than a silence may.
   * @throws Failure when the body ends in an error; the signal's reason
   */
  async *pieces({ body, url }: HubAnswer, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    try {
      yield* body.pieces();
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#failure(error, url);
    }
  }

  #failure(error: unknown, url: URL): Failure {
    return connectionFailure(error, url.host, proxyFor(url, this.#environment.proxies)?.host);
  }

  /** Ends the connections of one way: a request that was given up may still hold them. */
  #forget(proxy: URL | undefined): void {
    const key = proxy?.href ?? "";
    this.#dispatchers
      .get(key)
      ?.destroy()
      .catch(() => {});
    this.#dispatchers.delete(key);
  }

  #dispatcherFor(proxy: URL | undefined): Dispatcher {
    const key = proxy?.href ?? "";
    const known = this.#dispatchers.get(key);
    if (known !== undefined) return known;
    const { Agent, ProxyAgent } = this.#undici;
    // One connection to a host: all is asked in turn. Not HTTP/2, whose windows are too small here for a line that is
    // fast and long.
    const options = { connections: 1, allowH2: false };
    const dispatcher =
      proxy === undefined
        ? new Agent({ ...options, connect: { timeout: this.#environment.connectTimeoutMs } })
        : new ProxyAgent({ ...options, uri: proxy.href, proxyTunnel: true });
    this.#dispatchers.set(key, dispatcher);
    return dispatcher;
  }
}

/** Whether a token would be readable for everybody on the way. */
export function sendsInTheOpen({ endpoint }: HubEnvironment): boolean {
  const { protocol, hostname } = new URL(endpoint);
  return protocol === "http:" && !LOOPBACK.test(hostname);
}

/**
 * The signal of one request: the caller's, and a limit until the headers come. undici has limits of its own, but none
 * for a proxy that takes a connection and says nothing.
 */
class Guard {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(caller: AbortSignal | undefined, timeoutMs: number) {
    this.#caller = caller;
    this.#timer = setTimeout(() => {
      this.#controller.abort(failed("UND_ERR_HEADERS_TIMEOUT"));
    }, timeoutMs);
    if (caller?.aborted) this.#onAbort();
    else caller?.addEventListener("abort", this.#onAbort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** undici does not look at the signal before there is a connection. */
  race<T>(asking: Promise<T>): Promise<T> {
    const aborted = new Promise<never>((_, reject) => {
      const { signal } = this.#controller;
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (signal.aborted) reject(signal.reason);
    });
    aborted.catch(() => {});
    asking.catch(() => {});
    return Promise.race([asking, aborted]);
  }

  headersCame(body: Readable): void {
    clearTimeout(this.#timer);
    body.once("close", () => this.end());
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => this.#controller.abort(this.#caller?.reason);
}
