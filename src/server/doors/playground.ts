// The playground's page and the routes that the page uses. Sessions let browsers in (access/playground-sessions.ts). What
// bodies and events mean is in dialects/playground/. Requests of the page have the same queue and limits as all others.
import type { FastifyReply, FastifyRequest } from "fastify";
import { nextTokenOf, scoredOf, TraceEvents, tokenOf } from "../../dialects/playground/answers.ts";
import { clientsOf } from "../../dialects/playground/clients.ts";
import { refusalOf } from "../../dialects/playground/errors.ts";
import type { Tokenized } from "../../dialects/playground/events.ts";
import { factsOf } from "../../dialects/playground/facts.ts";
import { endpointOf, readGenerate, readNext, readScore } from "../../dialects/playground/requests.ts";
import { GptError } from "../../errors.ts";
import { answerOf } from "../../request/answer.ts";
import { type Fields, readJsonBody } from "../../request/body.ts";
import { invalidField, missingField } from "../../request/fields.ts";
import { REQUEST_LIMITS } from "../../request/request-limits.ts";
import type { Settings } from "../../settings.ts";
import { describeValue } from "../../wording.ts";
import type { PlaygroundSessions } from "../access/playground-sessions.ts";
import { noteError, sendJson, takeBody } from "../http/http-app.ts";
import { AwsError, toAwsError } from "../http/http-errors.ts";
import { type AnswerFrames, sendStream } from "./answer-stream.ts";
import { type Endpoints, requireLoaded } from "./endpoints.ts";
import type { PageFile } from "./page-files.ts";
import type { RoutedRequest } from "./routes.ts";
import type { ServedModel } from "./served-model.ts";
import { EVENT_STREAM, event, ServerSentEvents } from "./server-sent-events.ts";

/** How often a waiting request gets an event about the queue. */
const WAITING_MS = 500;

/** The page may load and call this server only, has nothing inline, and cannot be framed by another page. */
const PAGE_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
} as const;

export interface PlaygroundOptions {
  readonly endpoints: Endpoints;
  readonly sessions: PlaygroundSessions;
  readonly settings: Pick<Settings, "unreadBytesMax" | "auth" | "region">;
  /** Version of this software. */
  readonly release: string;
  /** The files of the page, by name. */
  readonly files: ReadonlyMap<string, PageFile>;
}

/** The functions that answer. */
export class PlaygroundRoutes {
  readonly #options: PlaygroundOptions;
  constructor(options: PlaygroundOptions) {
    this.#options = options;
  }

  /** The functions that answer, by operation. */
  handlers() {
    return {
      PlaygroundPage: (request: RoutedRequest, reply: FastifyReply) => this.#page(request, reply),
      PlaygroundScript: (request: RoutedRequest, reply: FastifyReply) => this.#file(request, reply, "app.js"),
      PlaygroundStyle: (request: RoutedRequest, reply: FastifyReply) => this.#file(request, reply, "app.css"),
      PlaygroundIcon: (request: RoutedRequest, reply: FastifyReply) => this.#file(request, reply, "icon.svg"),
      PlaygroundFacts: (request: RoutedRequest, reply: FastifyReply) => this.#facts(request, reply),
      PlaygroundGenerate: (request: RoutedRequest, reply: FastifyReply) => this.#generate(request, reply),
      PlaygroundNext: (request: RoutedRequest, reply: FastifyReply) => this.#next(request, reply),
      PlaygroundScore: (request: RoutedRequest, reply: FastifyReply) => this.#score(request, reply),
      PlaygroundTokenize: (request: RoutedRequest, reply: FastifyReply) => this.#tokenize(request, reply),
      PlaygroundClients: (request: RoutedRequest, reply: FastifyReply) => this.#clients(request, reply),
    };
  }

  /**
   * Answers a link with the page and the cookie in one response. After a redirect, a browser that came from another site
   * would not send the cookie, because it is SameSite=Strict.
   */
  async #page(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { sessions } = this.#options;
    sessions.checkPlace(request);
    const token = (request.query as { readonly token?: unknown }).token;
    const cookie = typeof token === "string" ? sessions.open(token, request) : undefined;
    if (cookie !== undefined) reply.header("set-cookie", cookie);
    else if (!sessions.knows(request)) return sendHtml(reply.code(401), closedPage(token !== undefined));
    if (!this.#options.files.has("index.html")) return sendHtml(reply.code(503), NOT_BUILT);
    return this.#file(request, reply, "index.html");
  }

  async #file({ headers }: FastifyRequest, reply: FastifyReply, name: string): Promise<FastifyReply> {
    const file = this.#options.files.get(name);
    if (file === undefined) {
      throw new AwsError("ServiceUnavailable", `The file ${name} of the playground was not built`);
    }
    reply.headers({
      ...PAGE_HEADERS,
      "cache-control": "no-cache",
      etag: file.etag,
      "content-type": file.type,
    });
    return headers["if-none-match"] === file.etag ? reply.code(304).send() : reply.send(file.bytes);
  }

  async #facts(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { endpoints, release } = this.#options;
    const loaded = endpoints.allowed(request).flatMap((name) => {
      const model = endpoints.model(name);
      const { info, fingerprint } = model ?? {};
      return model && info ? [{ name, model: info, limits: model.limits, fingerprint }] : [];
    });
    return sendJson(reply, factsOf(release, loaded));
  }

  async #generate(request: RoutedRequest, reply: FastifyReply): Promise<undefined> {
    const { fields, model } = await this.#read(request);
    const { params, plain } = readGenerate(fields, model.limits);
    const form = (id: number) => model.token(id);
    const trace = new TraceEvents(params.decoding.seed, form);
    // With keep_best it is known only at the end which candidates are returned.
    const isLive = params.keepBest === undefined;
    await sendStream({
      reply,
      headers: {},
      frames: frames(request),
      gone: request.exchange.gone,
      unreadBytesMax: this.#options.settings.unreadBytesMax,
      produce: async (write, signal) => {
        const events = new ServerSentEvents(write);
        const waiting = setInterval(() => events.send({ type: "waiting", ...model.load }), WAITING_MS);
        try {
          const generation = await model.generate(params, request, {
            signal,
            onPrompt: (prompt) => {
              clearInterval(waiting);
              events.send(trace.start(prompt));
            },
            onSteps: (steps) => events.send(trace.steps(steps)),
            ...(isLive && { onPiece: (piece) => events.send(...trace.piece(piece)) }),
          });
          events.send(trace.end(generation, answerOf(plain, generation, form), model.fingerprint));
        } finally {
          clearInterval(waiting);
          events.stop();
        }
      },
    });
    return undefined;
  }

  async #next(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { fields, model } = await this.#read(request);
    const generation = await model.generate(readNext(fields, model.limits), request);
    return sendJson(
      reply,
      nextTokenOf(generation, (id) => model.token(id)),
    );
  }

  async #score(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { fields, model } = await this.#read(request);
    const generation = await model.generate(readScore(fields, model.limits), request);
    return sendJson(
      reply,
      scoredOf(generation, (id) => model.token(id)),
    );
  }

  async #tokenize(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { fields, model } = await this.#read(request);
    const { input } = fields;
    if (input === undefined) throw missingField("input");
    if (typeof input !== "string") {
      throw invalidField("input", `input must be a string, got ${describeValue(input)}`);
    }
    const ids = await model.tokenize(input);
    const answer: Tokenized = { tokens: ids.map((id) => tokenOf(id, (each) => model.token(each))) };
    return sendJson(reply, answer);
  }

  async #clients(request: RoutedRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { fields, model, name: endpoint } = await this.#read(request);
    const { plain } = readGenerate(fields, model.limits);
    const { input, promptTokenIds } = plain;
    const text = promptTokenIds ? model.detokenize(promptTokenIds) : (input ?? "");
    const { length: numTokens } = await model.tokenize(text);
    const { auth, region } = this.#options.settings;
    const target = {
      baseUrl: `${request.protocol}://${request.headers.host}`,
      endpoint,
      region: region === "any" ? "us-east-1" : region,
      hasSessionToken: false,
      auth,
    };
    return sendJson(reply, clientsOf(fields, plain, { text, numTokens }, target));
  }

  /** The body, and the model that it names. Throws while the model loads. */
  async #read(request: RoutedRequest): Promise<{ fields: Fields; name: string; model: ServedModel }> {
    const { endpoints } = this.#options;
    const fields = await readJsonBody(takeBody(request), {
      valuesMax: REQUEST_LIMITS.playgroundBodyValues.max,
    });
    const name = endpointOf(fields) ?? endpoints.first;
    const model = endpoints.admit(request, name);
    requireLoaded(model);
    return { fields, name, model };
  }
}

function frames(request: FastifyRequest): AnswerFrames {
  return {
    ...EVENT_STREAM,
    fail(error) {
      const answer = toPlaygroundError(error, request);
      noteError(request, error, answer);
      return Buffer.from(event({ type: "error", ...(answer.details.body as object) }));
    },
  };
}

/** Turns anything that was thrown into an error in the form that the page reads. */
export function toPlaygroundError(error: unknown, request: FastifyRequest): AwsError {
  const aws = toAwsError(error, { requestId: request.id, region: "", endpoint: "" });
  const status = error instanceof GptError && error.kind === "caller" ? 400 : aws.status;
  const body = refusalOf(error, { type: aws.type, message: aws.message });
  return new AwsError({ type: aws.type, status }, body.error.message, {
    headers: { ...aws.details.headers },
    body,
  });
}

function sendHtml(reply: FastifyReply, html: string): FastifyReply {
  const type = { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" };
  return reply.headers({ ...PAGE_HEADERS, ...type }).send(Buffer.from(html));
}

function closedPage(hasToken: boolean): string {
  const why = hasToken
    ? "This link was used already, or belongs to an earlier start of the server."
    : "The playground opens with the link that the server prints when it starts.";
  return htmlPage(
    `<p>${why}</p><p>The terminal of <code>gpt2-api serve</code> shows a link that works once. Clients need none: they call ` +
      "<code>/endpoints/{name}/invocations</code> or <code>/v1/completions</code>.</p>",
  );
}

const NOT_BUILT = htmlPage("<p>The page was not built. <code>npm run build</code> builds it.</p>");

function htmlPage(content: string): string {
  return (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">' +
    '<meta name="color-scheme" content="light dark">' +
    `<title>gpt2-api</title><main><h1>gpt2-api</h1>${content}</main></html>\n`
  );
}
