// HTTP to the hub, without retries: directly or through a proxy, with a time limit on every step. Redirects are followed here
// and not by the library, so that the token is sent to the hub's own origin only. The library, undici, is loaded with the
// first transport, because a cached model does not need it.
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { AnswerBody, failed } from "./answer-body.ts";
import { connectionFailure, type Failure, notAHub, printable } from "./failure.ts";
import { DEFAULT_ENDPOINT, type HubEnvironment } from "./hub-environment.ts";
import { proxyFor } from "./proxies.ts";

export interface HubAnswer {
  readonly status: number;
  /** The address that answered, after all redirects. */
  readonly url: URL;
  /** A header by its lower-case name. If it was sent several times, the first. */
  readonly header: (name: string) => string | undefined;
  readonly body: AnswerBody;
}

export interface HubRequest {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Whether to follow a redirect. Default: all are followed. */
  readonly follow?: (redirect: HubAnswer) => boolean;
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const REDIRECTS_MAX = 10;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

type Undici = typeof import("undici");

export class Transport {
  readonly #undici: Undici;
  readonly #environment: HubEnvironment;
  readonly #endpoint: URL;
  readonly #authorization: string | undefined;
  /** Keyed by the proxy's address; "": a direct connection. */
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
   * Sends one request and follows redirects. The caller must read the answer's body or destroy it.
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

  /**
   * Resolves an address from an answer. Answers that a mirror passes on still name the public hub in redirects and links. With a
   * mirror as endpoint, such addresses become the mirror's.
   */
  resolve(reference: string, base: URL): URL | undefined {
    if (!URL.canParse(reference, base.href)) return undefined;
    const url = new URL(reference, base);
    if (url.origin !== DEFAULT_ENDPOINT || this.#endpoint.origin === DEFAULT_ENDPOINT) return url;
    return new URL(`${this.#environment.endpoint}${url.pathname}${url.search}`);
  }

  /** True for addresses of the configured hub's origin. */
  isHub(url: URL): boolean {
    return url.origin === this.#endpoint.origin;
  }

  /** Closes all connections. */
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
          // Otherwise a file may come compressed, and then its length and ranges would be unknown.
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
   * The pieces of an answer's body. The wait for each is limited by `silenceTimeoutMs`.
   * @throws Failure when the body ends in an error; the signal's reason when it aborts
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

  /** Closes the connections to one proxy, or the direct ones: a request that failed may still hold one. */
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
    // One connection per host, as requests are sent one after another. HTTP/2 is off: undici's flow-control windows are too
    // small for a fast line with a long round trip.
    const options = { connections: 1, allowH2: false };
    const dispatcher =
      proxy === undefined
        ? new Agent({ ...options, connect: { timeout: this.#environment.connectTimeoutMs } })
        : new ProxyAgent({ ...options, uri: proxy.href, proxyTunnel: true });
    this.#dispatchers.set(key, dispatcher);
    return dispatcher;
  }
}

/** Whether a token would be sent unencrypted over the network. */
export function sendsInTheOpen({ endpoint }: HubEnvironment): boolean {
  const { protocol, hostname } = new URL(endpoint);
  return protocol === "http:" && !LOOPBACK.test(hostname);
}

/**
 * The abort signal of one request: it follows the caller's, and aborts if the headers do not come in time. undici has
 * timeouts of its own, but none for a proxy that accepts a connection and then stays silent.
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

  /** Rejects as soon as the signal aborts. undici itself looks at the signal only once there is a connection. */
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
