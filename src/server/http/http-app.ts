// What every HTTP door of this software shares, as a Fastify application without routes: raw bytes in, a request id on
// every answer, one form for every error, limits on time and size, one log line a request. It listens to nothing by
// itself and knows neither endpoints nor keys.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { Context } from "@opentelemetry/api";
import fastify, {
  type FastifyError,
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from "fastify";
import { type ErrorCode, GptError } from "../../errors.ts";
import type { Settings } from "../../settings.ts";
import { quote } from "../../wording.ts";
import { Bodies, type BodySettings, discardRest, Expectations, isUnfinished } from "./bodies.ts";
import { answerToClientError, renderLastAnswer } from "./client-errors.ts";
import { type ConnectionSettings, Connections } from "./connections.ts";
import type { Exchange } from "./exchange.ts";
import { AwsError, renderError } from "./http-errors.ts";
import { checkHead, normaliseTarget, renameUnknownMethod } from "./request-head.ts";
import { renewCertificate, type TlsFiles } from "./tls.ts";
import { traceContext, traceRequest } from "./tracing.ts";

/** What the log line and the metrics of a request tell besides its status. */
export interface RequestRecord {
  operation?: string;
  /** One that is served: what callers make up is in the path alone, and is no label of metrics. */
  endpoint?: string;
  keyId?: string;
  inferenceId?: string;
  errorType?: string;
  errorCode?: ErrorCode;
  promptTokens?: number;
  cachedTokens?: number;
  generatedTokens?: number;
  queueMs?: number;
  firstTokenMs?: number;
  totalMs?: number;
}

declare module "fastify" {
  interface FastifyRequest {
    record: RequestRecord;
    exchange: Exchange;
  }
  interface FastifyInstance {
    connections: Connections;
  }
  interface FastifyContextConfig {
    /** See `Route.isProbe`. */
    isProbe?: boolean;
  }
}

interface Arrival {
  readonly trace: Context;
  /** On the system clock, as traces want it. */
  readonly ms: number;
  /** On a clock that never jumps. */
  readonly elapsedMs: number;
}

/** What is listened with and closed. */
export type App = FastifyInstance;

export type OnFinished = (record: RequestRecord, status: number | "aborted") => void;

export type HttpSettings = BodySettings &
  ConnectionSettings &
  Pick<
    Settings,
    | "headersTimeoutMs"
    | "requestTimeoutMs"
    | "keepAliveTimeoutMs"
    | "requestDeadlineMs"
    | "tlsHandshakeTimeoutMs"
    | "headerBytesMax"
    | "headerLinesMax"
  >;

export interface HttpOptions {
  readonly settings: HttpSettings;
  /** Fastify's logger option; default: no log. */
  readonly logger?: FastifyServerOptions["logger"] | undefined;
  /** HTTPS with this certificate; default: HTTP. */
  readonly tls?: TlsFiles | undefined;
  /** Anything that was thrown, in the form in which this door answers. */
  readonly toError: (error: unknown, request: FastifyRequest) => AwsError;
  /** Paths and the methods they answer to, for 405. */
  readonly methods: readonly { readonly path: RegExp; readonly allow: string }[];
  /** Is called once for every request. */
  readonly onFinished?: OnFinished | undefined;
}

export function createHttpApp(options: HttpOptions): FastifyInstance {
  const { settings, tls } = options;
  const app = fastify({
    ...serverOptions(options),
    clientErrorHandler: (error, socket) =>
      app.connections.refuse(socket, answerToClientError(error, app.log)),
  }) as FastifyInstance;
  app.decorate("connections", new Connections(app.server, settings, tls !== undefined));
  if (tls !== undefined) renewCertificate(app.server, tls, app.log);
  app.server.maxHeadersCount = 0; // Node would drop the lines beyond it without a word.
  app.server.prependListener("request", (request) => {
    normaliseTarget(request);
    renameUnknownMethod(request);
  });
  app.server.on("connect", (_request, socket) =>
    app.connections.refuse(socket as Socket, renderLastAnswer(NO_PROXY, app.log, "CONNECT")),
  );
  app.decorateRequest("record");
  app.decorateRequest("exchange");
  app.addHook("onRequest", async (request, reply) => {
    const turn = arrive(request, reply, options);
    if (turn !== undefined) await turn;
    if (request.exchange.gone.aborted) return reply.hijack(); // Nobody is there any more.
    reply.header("x-amzn-requestid", request.id);
    // Clients send all sorts of content types; one that does not parse would be refused before the signature is read.
    // The signature is checked over rawHeaders, which keep it.
    delete request.raw.headers["content-type"];
    checkHead(request.raw, settings.headerLinesMax);
  });
  receiveBodies(app, options);
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, options));
  app.addHook("preClose", () => app.connections.stop());
  return app;
}

const NO_PROXY = new AwsError(
  "MethodNotAllowedException",
  "This server is no proxy and answers to no CONNECT",
);

/** A body is received when all that can be refused for its head was refused: by then the caller's head was looked at. */
function receiveBodies(app: FastifyInstance, options: HttpOptions): void {
  const bodies = new Bodies(options.settings);
  const expectations = new Expectations(app);
  app.addHook("onRequest", async (request) => {
    if (request.is404) throw notFound(request, options);
    bodies.checkDeclared(request.raw);
  });
  // Bytes stay bytes: no content type is parsed, and none is refused.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request: FastifyRequest, raw: IncomingMessage) => {
    expectations.goOn(raw);
    return bodies.receive(raw);
  });
  app.addHook("onSend", async ({ raw }, reply, payload) => {
    if (!isUnfinished(raw)) return payload;
    // Node itself closes the connection of a client that was not told to go on.
    if (expectations.isOpen(raw) || !Buffer.isBuffer(payload)) return payload;
    reply.removeHeader("connection");
    reply.header("content-length", payload.length);
    return Readable.from(answerEarly(payload, raw, options.settings.refusedBytesMax));
  });
}

/** The whole answer at once; its end, with which the connection may close, when the rest of the body has come. */
async function* answerEarly(payload: Buffer, request: IncomingMessage, bytesMax: number) {
  const rest = discardRest(request, bytesMax);
  yield payload;
  if ((await rest) === "too much") request.socket.destroySoon();
}

function serverOptions(options: HttpOptions): FastifyHttpOptions<Server> {
  const { settings, logger = false, tls } = options;
  const headersTimeout = Math.min(settings.headersTimeoutMs, settings.requestTimeoutMs);
  const node = {
    headersTimeout,
    requestTimeout: settings.requestTimeoutMs,
    // How much later than that it may be noticed.
    connectionsCheckingInterval: Math.min(1000, Math.ceil(headersTimeout / 4)),
    maxHeaderSize: settings.headerBytesMax,
    // It is looked for in `checkHead`: Node's own answer has no body.
    requireHostHeader: false,
  };
  const https = () => ({ ...node, ...tls?.read(), handshakeTimeout: settings.tlsHandshakeTimeoutMs });
  return {
    logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: settings.requestTimeoutMs,
    keepAliveTimeout: settings.keepAliveTimeoutMs,
    // A client that neither reads nor sends holds its connection no longer than an answer may take.
    connectionTimeout: Math.max(settings.requestDeadlineMs, settings.requestTimeoutMs) + CONNECTION_GRACE_MS,
    ...(tls === undefined ? { http: node } : { https: https() }),
    // Long names reach the check of the endpoint's name; the size of the headers bounds them.
    routerOptions: { maxParamLength: 1_048_576 },
    pluginTimeout: 0, // It would end the waiting for open requests in a stop.
    // Requests that arrive on open connections during a stop are still answered.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      arrive(request, reply, options);
      sendError(error, request, reply, options);
    },
  };
}

const CONNECTION_GRACE_MS = 30_000;

/** Begins the record of a request, which is told when the request is over; returns what its turn waits for, if it must. */
function arrive(
  request: FastifyRequest,
  reply: FastifyReply,
  options: HttpOptions,
): Promise<void> | undefined {
  const arrival = { trace: traceContext(request.headers), ms: Date.now(), elapsedMs: performance.now() };
  const { exchange, turn } = request.server.connections.begin(request.raw, reply.raw);
  request.record = {};
  request.exchange = exchange;
  exchange.onOver((ending) =>
    finish(request, arrival, ending === "aborted" ? ending : reply.raw.statusCode, options),
  );
  return turn;
}

function notFound({ method, url }: FastifyRequest, { methods }: HttpOptions): AwsError {
  const path = pathOf(url);
  const known = methods.find((route) => route.path.test(path));
  if (known === undefined) {
    return new AwsError("UnknownOperationException", `There is nothing at ${quote(path)} on this server`);
  }
  const message = `${quote(path)} answers to ${known.allow}, not to ${method}`;
  return new AwsError("MethodNotAllowedException", message, { headers: { allow: known.allow } });
}

/** JSON as bytes, so that no charset is added to the content type. */
export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.header("content-type", "application/json").send(Buffer.from(JSON.stringify(value)));
}

/** The body as it came over the wire; a request without one has an empty body. */
export function bodyOf(request: FastifyRequest): Buffer {
  return (request.body as Buffer | undefined) ?? Buffer.alloc(0);
}

/** The same, which the request then holds no longer: it may be large, and the request lives until it is answered. */
export function takeBody(request: FastifyRequest): Buffer {
  const bytes = bodyOf(request);
  request.body = undefined;
  return bytes;
}

function sendError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { toError }: HttpOptions,
): FastifyReply {
  const answer = toError(fromFramework(error), request);
  noteError(request, error, answer);
  const { status, headers, body } = renderError(answer, request.id);
  return reply.code(status).headers(headers).send(Buffer.from(body));
}

/** What the log tells of an error: its name and code; the cause of what was our own failure. */
export function noteError(
  request: FastifyRequest,
  error: unknown,
  answer: { type: string; status: number },
): void {
  request.record.errorType = answer.type;
  if (error instanceof GptError) request.record.errorCode = error.code;
  if (answer.status === 500) request.log.error({ err: error }, "request failed");
}

/** What Fastify itself finds wrong with a request. */
function fromFramework(error: unknown): unknown {
  if (error instanceof AwsError || error instanceof GptError) return error;
  const { statusCode, message } = error as Partial<FastifyError>;
  const isCallers = statusCode !== undefined && statusCode >= 400 && statusCode < 500;
  return isCallers
    ? new AwsError("MalformedHttpRequestException", message ?? "The request is malformed")
    : error;
}

/** One line a request, and one span. Neither texts nor signatures: a query string may hold one. */
function finish(
  request: FastifyRequest,
  { ms: startedMs, elapsedMs, trace }: Arrival,
  status: number | "aborted",
  { onFinished }: HttpOptions,
): void {
  const { method, url, ip, record } = request;
  const ms = Math.round(performance.now() - elapsedMs);
  if (status === "aborted" && record.endpoint !== undefined) record.totalMs ??= ms;
  const level = request.routeOptions.config?.isProbe && status === 200 ? "debug" : "info";
  request.log[level]({ method, path: pathOf(url), status, ip, ms, ...record }, "request");
  if (method === "POST") {
    const { operation: name = method, ...facts } = record;
    traceRequest({ name, method, path: pathOf(url), status, requestId: request.id, startedMs, facts }, trace);
  }
  onFinished?.(record, status);
}

function pathOf(url: string): string {
  return url.split("?", 1)[0] ?? "";
}
