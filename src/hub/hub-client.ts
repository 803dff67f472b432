// Requests to the hub, with retries. Answers are limited in size and time, and every failure becomes a `Failure` or
// `GptError` with one sentence. The connections themselves are in `transport.ts`.

import { failed } from "./answer-body.ts";
import { Failure, notAHub } from "./failure.ts";
import type { HubEnvironment } from "./hub-environment.ts";
import { type HubContext, Patience } from "./patience.ts";
import { type Asked, refusal } from "./refusal.ts";
import type { HubAnswer, HubRequest, Transport } from "./transport.ts";

const JSON_BYTES_MAX = 10_000_000;
/** The longest time for a whole JSON answer. Files have no such limit. */
const JSON_TIMEOUT_MS = 60_000;

export interface JsonAnswer {
  readonly value: unknown;
  readonly answer: HubAnswer;
}

export class HubClient {
  readonly environment: HubEnvironment;
  readonly context: HubContext;
  readonly transport: Transport;

  constructor(environment: HubEnvironment, context: HubContext, transport: Transport) {
    this.environment = environment;
    this.context = context;
    this.transport = transport;
  }

  /**
   * Fetches one JSON document, with retries. `address` is absolute.
   * @throws GptError. If the hub answered with an error, `answerOf(error)` is that answer.
   */
  async json(address: string, asked: Asked): Promise<JsonAnswer> {
    return this.persistently(async () => {
      const answer = await this.ask(address, asked);
      return { value: await this.#parsed(answer), answer };
    });
  }

  /**
   * One attempt. Returns a successful answer, or a redirect that `request.follow` stopped at.
   * @throws Failure for any other answer, and when there is none.
   */
  async ask(address: string, asked: Asked, request: HubRequest = {}): Promise<HubAnswer> {
    const answer = await this.transport.send(address, { ...request, signal: this.context.signal });
    const { status } = answer;
    if (status !== 200 && status !== 206 && !(status >= 300 && status < 400)) {
      throw await refusal(answer, asked, this.environment);
    }
    const encoding = answer.header("content-encoding") ?? "identity";
    if (encoding === "identity") return answer;
    answer.body.destroy();
    throw notAHub(answer.url.host, `Content-Encoding: ${encoding.slice(0, 60)}, which was not asked for`);
  }

  /**
   * Retries `attempt` until it succeeds or `Patience` gives up.
   * @throws GptError made from the last failure
   */
  async persistently<T>(attempt: () => Promise<T>): Promise<T> {
    const patience = new Patience(this.context);
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        await patience.after(error);
      }
    }
  }

  async #parsed(answer: HubAnswer): Promise<unknown> {
    const { host } = answer.url;
    const text = await this.#text(answer);
    try {
      return JSON.parse(text);
    } catch {
      throw notAHub(host, `it sends ${JSON.stringify(text.trim().slice(0, 20))} in place of JSON`);
    }
  }

  async #text(answer: HubAnswer): Promise<string> {
    const { body, url } = answer;
    const chunks: Buffer[] = [];
    let length = 0;
    const late = setTimeout(() => body.destroy(failed("UND_ERR_BODY_TIMEOUT")), JSON_TIMEOUT_MS);
    try {
      for await (const chunk of this.transport.pieces(answer, this.context.signal)) {
        chunks.push(chunk);
        length += chunk.length;
        if (length > JSON_BYTES_MAX)
          throw notAHub(url.host, `its JSON is larger than ${JSON_BYTES_MAX} bytes`);
      }
    } finally {
      clearTimeout(late);
    }
    return Buffer.concat(chunks).toString("utf8");
  }
}
