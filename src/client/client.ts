// A client for this server's own routes, built on `fetch`, for Node and browsers. So it imports no module of Node.
import { Run } from "../library/run.ts";
import type { ScoredText } from "../request/answer.ts";
import type { TextRequest } from "../request/params.ts";
import { ApiError, errorOf } from "./api-error.ts";
import { linesOf } from "./event-stream.ts";
import { type KeyPair, signatureHeaders } from "./signing.ts";

export interface ClientOptions {
  /** The server's address, such as `http://127.0.0.1:8080`. */
  readonly url: string | URL;
  /** The endpoint's name. Default: `gpt-2`. */
  readonly endpointName?: string;
  /** Signs requests. Give this or `bearerToken`, or neither for a server with `--auth none`. */
  readonly keyPair?: KeyPair;
  /** An API key, or a token that `gpt2-api token` has printed. */
  readonly bearerToken?: string;
  /** The region to sign for. Default: `us-east-1`. */
  readonly region?: string;
  /** The longest time of a request with its retries. Default: ten minutes. */
  readonly timeoutMs?: number;
  /** How often a request is sent again if the server has no room, after the time that the server names. Default: 2. */
  readonly retriesMax?: number;
  /** Replaces the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}

export interface ClientGenerateOptions {
  /** When it is aborted, the connection ends, the server stops the work, and the promise rejects with code `cancelled`. */
  readonly signal?: AbortSignal;
}

export interface ClientResult {
  readonly texts: readonly string[];
  /** With `logprobs`, if the result is awaited: the log-probabilities of each text's tokens. */
  readonly scored?: readonly ScoredText[];
  /** The seed that was used. The same seed gives the same texts. */
  readonly seed: number;
  /** A digest of weights, precision and arithmetic. With equal fingerprints, equal requests and seeds give equal texts. */
  readonly fingerprint?: string;
}

/** A piece of text that will not change any more, with `logprobs` also the log-probabilities of its tokens. */
export interface ClientPiece extends Partial<Omit<ScoredText, "text" | "finish_reason">> {
  /** Index of the text in the answer. */
  readonly index: number;
  /** Whole characters. All pieces of a text, joined, are the text. */
  readonly text: string;
}

const TIMEOUT_MS = 600_000;
const RETRIES_MAX = 2;
/** If the server names a longer time to wait, the request is not sent again. */
const RETRY_AFTER_SECONDS_MAX = 60;
const NO_ROOM: ReadonlySet<number> = new Set([429, 503]);

export class Client {
  readonly #invocations: URL;
  readonly #options: ClientOptions;

  /** @throws TypeError for an invalid `url`, or if both a key pair and a bearer token are given */
  constructor(options: ClientOptions) {
    const { url, endpointName = "gpt-2", keyPair, bearerToken } = options;
    if (keyPair !== undefined && bearerToken !== undefined) {
      throw new TypeError("keyPair and bearerToken exclude each other; give one of them");
    }
    const base = new URL(url);
    const path = base.pathname.replace(/\/*$/, "");
    this.#invocations = new URL(`${path}/endpoints/${encodeURIComponent(endpointName)}/invocations`, base);
    this.#options = options;
  }

  /**
   * Completes a text. The answer can be awaited whole, or read piece by piece with `for await`. Leaving that loop ends the
   * connection, and the server stops the work.
   * @param request the parameters of a request, such as `{ input: "Once", mode: "greedy", max_new_tokens: 20 }`
   * @throws ApiError (when awaited or iterated)
   */
  generate(request: TextRequest, { signal }: ClientGenerateOptions = {}): Run<ClientResult, ClientPiece> {
    return new Run(async (onPiece, stopped) => {
      const { timeoutMs = TIMEOUT_MS } = this.#options;
      const timeout = AbortSignal.timeout(timeoutMs);
      const signals = [timeout, stopped, ...(signal ? [signal] : [])];
      const body = JSON.stringify(request);
      try {
        return await (onPiece
          ? this.#stream(body, onPiece, AbortSignal.any(signals))
          : this.#ask(body, AbortSignal.any(signals)));
      } catch (error) {
        if (error instanceof ApiError) throw error;
        if (signal?.aborted || stopped.aborted)
          throw new ApiError("cancelled", "The request was cancelled", { cause: error });
        if (timeout.aborted)
          throw new ApiError("timed_out", `There was no complete answer within ${timeoutMs} ms`, {
            cause: error,
          });
        const why = error instanceof Error ? error.message : String(error);
        throw new ApiError("unreachable", `The connection to ${this.#invocations.host} failed: ${why}`, {
          cause: error,
        });
      }
    });
  }

  async #ask(body: string, signal: AbortSignal): Promise<ClientResult> {
    const response = await this.#send(this.#invocations, body, {}, signal);
    const answer = answerIn(await response.text());
    return {
      texts: answer.map((each) => (typeof each === "string" ? each : each.text)),
      ...(answer.some((each) => typeof each !== "string") && { scored: answer as ScoredText[] }),
      ...factsOf(response),
    };
  }

  async #stream(
    body: string,
    onPiece: (piece: ClientPiece) => void,
    signal: AbortSignal,
  ): Promise<ClientResult> {
    const url = new URL(`${this.#invocations.href}-response-stream`);
    const response = await this.#send(
      url,
      body,
      { "x-amzn-sagemaker-accept": "application/jsonlines" },
      signal,
    );
    if (response.body === null) throw new ApiError("invalid_answer", "The answer has no body");
    const texts: string[] = [];
    for await (const line of linesOf(response.body)) {
      const piece = line as ClientPiece;
      texts[piece.index] = (texts[piece.index] ?? "") + piece.text;
      if (piece.text !== "" || piece.tokens !== undefined) onPiece(piece);
    }
    return { texts: Array.from(texts, (text) => text ?? ""), ...factsOf(response) };
  }

  /** Sends a request, and again while the server has no room. @throws ApiError */
  async #send(
    url: URL,
    body: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Response> {
    const { fetch = globalThis.fetch, retriesMax = RETRIES_MAX } = this.#options;
    for (let retry = 0; ; retry++) {
      const all = {
        "content-type": "application/json",
        ...headers,
        ...(await this.#authorization(url, body)),
      };
      const response = await fetch(url, { method: "POST", headers: all, body, signal });
      if (response.ok) return response;
      const error = await errorOf(response);
      const seconds = error.retryAfterSeconds ?? 2 ** retry / 2;
      if (!NO_ROOM.has(response.status) || retry >= retriesMax || seconds > RETRY_AFTER_SECONDS_MAX)
        throw error;
      await pause(1000 * seconds, signal);
    }
  }

  /** The headers. They are made for each attempt, because a signature has its time. */
  async #authorization(url: URL, body: string): Promise<Record<string, string>> {
    const { keyPair, bearerToken, region = "us-east-1" } = this.#options;
    if (keyPair) return signatureHeaders("POST", url, body, { keyPair, region, now: new Date() });
    return bearerToken === undefined ? {} : { authorization: `Bearer ${bearerToken}` };
  }
}

function factsOf({ headers }: Response): { seed: number; fingerprint?: string } {
  const fingerprint = headers.get("x-gpt2-fingerprint");
  return { seed: Number(headers.get("x-gpt2-seed")), ...(fingerprint !== null && { fingerprint }) };
}

function answerIn(json: string): (string | ScoredText)[] {
  try {
    const answer: unknown = JSON.parse(json);
    if (Array.isArray(answer)) return answer;
  } catch {
    // The error is thrown below.
  }
  throw new ApiError("invalid_answer", "The answer is not a JSON list; is this the server's address?");
}

/** @throws the signal's reason when it is aborted */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
