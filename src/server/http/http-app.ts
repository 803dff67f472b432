// What all doors share, as a Fastify application without routes: raw bodies, a request id on every answer, the form of
// errors, limits on time and size, one log line per request. It does not listen, and knows neither endpoints nor keys.
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

/** What a request's log line and metrics have besides its status. */
export interface RequestRecord {
  operation?: string;
  /** A served endpoint. Names that callers invent are logged in the path only and never become labels of metrics. */
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
  /** Time of the system clock, for traces. */
  readonly ms: number;
  /** Time of a monotonic clock. */
  readonly elapsedMs: number;
}

/** An application: its owner makes it listen, and closes it. */
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
  /** Turns anything that was thrown into this door's form of an error. */
  readonly toError: (error: unknown, request: FastifyRequest) => AwsError;
  /** Paths and their methods, for answers with 405. */
  readonly methods: readonly { readonly path: RegExp; readonly allow: string }[];
  /** Called once for every request. */
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
  app.server.maxHeadersCount = 0; // No limit here, because Node drops further lines silently. `checkHead` has the limit.
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
    if (request.exchange.gone.aborted) return reply.hijack(); // The caller left while the request waited for its turn.
    reply.header("x-amzn-requestid", request.id);
    // Fastify would refuse a malformed content type before the signature is checked. The signature is checked over
    // rawHeaders, which still have it.
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
  "This server is not a proxy and does not support CONNECT",
);

/** Receives bodies. By then all checks of the head are done, so a request that fails them is refused without its body. */
function receiveBodies(app: FastifyInstance, options: HttpOptions): void {
  const bodies = new Bodies(options.settings);
  const expectations = new Expectations(app);
  app.addHook("onRequest", async (request) => {
    if (request.is404) throw notFound(request, options);
    bodies.checkDeclared(request.raw);
  });
  // Bodies stay raw bytes: no content type is parsed or refused.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request: FastifyRequest, raw: IncomingMessage) => {
    expectations.goOn(raw);
    return bodies.receive(raw);
  });
  app.addHook("onSend", async ({ raw }, reply, payload) => {
    if (!isUnfinished(raw)) return payload;
    // If the client still waits for 100, Node itself closes the connection.
    if (expectations.isOpen(raw) || !Buffer.isBuffer(payload)) return payload;
    reply.removeHeader("connection");
    reply.header("content-length", payload.length);
    return Readable.from(answerEarly(payload, raw, options.settings.refusedBytesMax));
  });
}

/** Sends the answer at once, but ends it, and with it perhaps the connection, only when the rest of the body has come. */
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
    // How often Node checks the two timeouts.
    connectionsCheckingInterval: Math.min(1000, Math.ceil(headersTimeout / 4)),
    maxHeaderSize: settings.headerBytesMax,
    // `checkHead` requires it. Node's own answer would have no body.
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
    // A silent client can hold its connection only a little longer than an answer may take.
    connectionTimeout: Math.max(settings.requestDeadlineMs, settings.requestTimeoutMs) + CONNECTION_GRACE_MS,
    ...(tls === undefined ? { http: node } : { https: https() }),
    // Long names must reach the check of the endpoint's name. The limit of the headers bounds them too.
    routerOptions: { maxParamLength: 1_048_576 },
    pluginTimeout: 0, // Otherwise it would end a stop that waits for open requests.
    // During a stop, requests on open connections are still answered.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      arrive(request, reply, options);
      sendError(error, request, reply, options);
    },
  };
}

const CONNECTION_GRACE_MS = 30_000;

/** Begins the record of a request, which is logged when the request is over. Returns a promise if it must wait for its turn. */
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

/** The body as it came over the wire; empty if there is none. */
export function bodyOf(request: FastifyRequest): Buffer {
  return (request.body as Buffer | undefined) ?? Buffer.alloc(0);
}

/** Returns the body and releases it from the request, which lives until it is answered. A body may be large. */
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

/** Notes an error for the log: its name and code. If the failure is the server's own, the cause is logged at once. */
export function noteError(
  request: FastifyRequest,
  error: unknown,
  answer: { type: string; status: number },
): void {
  request.record.errorType = answer.type;
  if (error instanceof GptError) request.record.errorCode = error.code;
  if (answer.status === 500) request.log.error({ err: error }, "request failed");
}

/** Turns Fastify's own errors about a request into errors for the caller. */
function fromFramework(error: unknown): unknown {
  if (error instanceof AwsError || error instanceof GptError) return error;
  const { statusCode, message } = error as Partial<FastifyError>;
  const isCallers = statusCode !== undefined && statusCode >= 400 && statusCode < 500;
  return isCallers
    ? new AwsError("MalformedHttpRequestException", message ?? "The request is malformed")
    : error;
}

/** Writes the log line and the span of a request. They have no texts and no query string, which may hold a signature. */
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
