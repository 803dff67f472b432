// The runtime front as a Fastify application: routes, the order of checks (size, signature, endpoint, envelope,
// payload), and one form for every error. It listens to nothing by itself and reads no environment; tests call
// `inject`. The raw URL, headers and bytes stay as they came, because the signature is made over them.
import { randomUUID } from "node:crypto";
import type { Server } from "node:http";
import fastify, {
  type FastifyError,
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from "fastify";
import type { Config } from "../config.ts";
import { GptError } from "../errors.ts";
import { quoted } from "../schema.ts";
import type { Generation, Generator } from "../service/generation.ts";
import { type Credential, verifySigV4 } from "../sigv4/index.ts";
import { answerClientError } from "./client-errors.ts";
import { AwsError, type AwsErrorType, renderError, toAwsError } from "./errors.ts";
import { bodyOf, checkEndpoint, checkEnvelope, makeInvoke } from "./invocations.ts";

export interface AppOptions {
  /** While it is a promise that is pending, `/ping` answers 503 and invocations 429. */
  readonly generator: Generator | Promise<Generator>;
  readonly config: Config;
  /** Looks an access key id up; undefined: no such key. */
  readonly credentials: (accessKeyId: string) => Credential | undefined;
  /** Fastify's logger option; default: no log. */
  readonly logger?: FastifyServerOptions["logger"];
  /** The clock against which signatures are checked. */
  readonly now?: () => Date;
}

/** What the log line of a request tells besides status and time. */
interface Outcome {
  errorType?: string;
  errorCode?: string;
  promptTokens?: number;
  generatedTokens?: number;
}

declare module "fastify" {
  interface FastifyRequest {
    outcome: Outcome;
  }
}

interface EndpointRoute {
  Params: { readonly name: string };
}

/** `POST` operations of SageMaker Runtime that share the endpoint path and are not offered. */
const NOT_OFFERED = {
  "async-invocations": "InvokeEndpointAsync",
  "invocations-response-stream": "InvokeEndpointWithResponseStream",
} as const;

/** Paths and the methods they answer to, for 405. */
const METHODS: readonly { readonly path: RegExp; readonly allow: string }[] = [
  {
    path: /^\/endpoints\/[^/]*\/(invocations|async-invocations|invocations-response-stream)$/,
    allow: "POST",
  },
  { path: /^\/ping$/, allow: "GET, HEAD" },
];

/** Builds the application; the caller listens, and closes app and generator. */
export function createApp(options: AppOptions): FastifyInstance {
  const { config } = options;
  const app: FastifyInstance = fastify({
    ...serverOptions(options),
    clientErrorHandler: (error, socket) => answerClientError(error, socket, app.log),
  });
  // Bytes stay bytes: no content type is parsed, and none is refused.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.decorateRequest("outcome");
  app.addHook("onRequest", async (request, reply) => {
    request.outcome = {};
    reply.header("x-amzn-requestid", request.id);
    // Clients send all sorts of content types; one that does not parse would be refused before the signature is read.
    // The signature is checked over rawHeaders, which keep it.
    delete request.raw.headers["content-type"];
  });
  app.addHook("onResponse", async (request, reply) =>
    logRequest(request, reply.statusCode, reply.elapsedTime),
  );
  app.addHook("onRequestAbort", async (request) => logRequest(request, "aborted"));
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, config));
  app.setNotFoundHandler((request) => {
    throw notFound(request);
  });
  // Node answers 417 without a body to an Expect header other than 100-continue; it may as well be ignored.
  app.server.on("checkExpectation", (request, response) => app.server.emit("request", request, response));
  addRoutes(app, options);
  return app;
}

function serverOptions({ config, logger = false }: AppOptions): FastifyHttpOptions<Server> {
  return {
    logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    bodyLimit: config.bodyBytesMax,
    requestTimeout: config.requestTimeoutMs,
    keepAliveTimeout: config.keepAliveTimeoutMs,
    http: {
      headersTimeout: Math.min(config.headersTimeoutMs, config.requestTimeoutMs),
      // Without a Host header the signature cannot match, which is answered in AWS's form; Node's 400 has no body.
      requireHostHeader: false,
    },
    // Long names reach the check of the endpoint's name; the size of the headers bounds them.
    routerOptions: { maxParamLength: 65_536 },
    // Requests that arrive on open connections during a stop are still answered.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      request.outcome = {};
      sendError(error, request, reply, config);
      logRequest(request, reply.statusCode);
    },
  };
}

function addRoutes(app: FastifyInstance, options: AppOptions): void {
  const { config } = options;
  const model = whenLoaded(options);

  app.get("/ping", async (_request, reply) => {
    const { name } = model("ServiceUnavailable");
    return sendJson(reply, { status: "ready", model: name });
  });

  const preHandler = async (request: FastifyRequest): Promise<void> => authenticate(request, options);
  app.post<EndpointRoute>("/endpoints/:name/invocations", { preHandler }, async (request, reply) => {
    checkEndpoint(request.params.name, config.endpoint);
    checkEnvelope(request.headers);
    const generation = await model("ModelNotReadyException").invoke(request, reply);
    request.outcome.promptTokens = generation.promptTokens;
    request.outcome.generatedTokens = generation.generatedTokens;
    reply.headers({
      "x-amzn-invoked-production-variant": "AllTraffic",
      "x-gpt2-seed": String(generation.seed),
    });
    return sendJson(
      reply,
      generation.sequences.map(({ text }) => text),
    );
  });

  for (const [path, operation] of Object.entries(NOT_OFFERED)) {
    app.post(`/endpoints/:name/${path}`, { preHandler }, async () => {
      throw new AwsError(
        "UnknownOperationException",
        `${operation} is not offered by this server; use InvokeEndpoint`,
      );
    });
  }
}

interface LoadedModel {
  readonly name: string;
  readonly invoke: (request: FastifyRequest, reply: FastifyReply) => Promise<Generation>;
}

/** Gives the model once it is loaded, and throws an error of the type asked for before that. */
function whenLoaded({ generator, config }: AppOptions): (otherwise: AwsErrorType) => LoadedModel {
  let loaded: LoadedModel | undefined;
  const onLoaded = (ready: Generator): void => {
    loaded = { name: ready.model.name, invoke: makeInvoke(ready, config) };
  };
  // Whoever loads the model learns why it failed; here it just never becomes ready.
  if (generator instanceof Promise) generator.then(onLoaded, () => {});
  else onLoaded(generator);
  return (otherwise) => {
    if (loaded === undefined) throw new AwsError(otherwise, "The model is still being loaded");
    return loaded;
  };
}

/** @throws AwsError with the name, status and text of the first check of the signature that fails. */
function authenticate(
  request: FastifyRequest,
  { config, credentials, now = () => new Date() }: AppOptions,
): void {
  const { method = "", url = "", rawHeaders } = request.raw;
  const verdict = verifySigV4(
    { method, rawUrl: url, rawHeaders, body: bodyOf(request) },
    {
      credentials,
      region: config.region,
      service: "sagemaker",
      now: now(),
      clockSkewSeconds: config.clockSkewSeconds,
      hostAliases: config.hostAlias,
    },
  );
  if (!verdict.ok) throw new AwsError(verdict.error, verdict.error.message);
}

function notFound({ method, url }: FastifyRequest): AwsError {
  const path = pathOf(url);
  const known = METHODS.find((route) => route.path.test(path));
  if (known === undefined) {
    return new AwsError("UnknownOperationException", `There is nothing at ${quoted(path)} on this server`);
  }
  const message = `${quoted(path)} answers to ${known.allow}, not to ${method}`;
  return new AwsError("MethodNotAllowedException", message, { headers: { allow: known.allow } });
}

/** JSON as bytes, so that no charset is added to the content type. */
function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.header("content-type", "application/json").send(Buffer.from(JSON.stringify(value)));
}

function sendError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  config: Config,
): FastifyReply {
  const context = { requestId: request.id, region: config.region, endpoint: config.endpoint };
  const answer = toAwsError(fromFramework(error, config), context);
  request.outcome.errorType = answer.type;
  if (error instanceof GptError) request.outcome.errorCode = error.code;
  if (answer.status === 500) request.log.error({ err: error }, "request failed");
  // The rest of a body that is too large is received and dropped: a connection that closes at once is reset while the
  // client still sends, and many clients then never see the answer.
  if (answer.status === 413) reply.removeHeader("connection");
  const { status, headers, body } = renderError(answer, request.id);
  return reply.code(status).headers(headers).send(Buffer.from(body));
}

/** What Fastify itself finds wrong with a request. */
function fromFramework(error: unknown, config: Config): unknown {
  if (error instanceof AwsError || error instanceof GptError) return error;
  const { code, statusCode, message } = error as Partial<FastifyError>;
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new AwsError(
      "RequestEntityTooLargeException",
      `HTTP content length exceeded ${config.bodyBytesMax} bytes.`,
    );
  }
  const isCallers = statusCode !== undefined && statusCode >= 400 && statusCode < 500;
  return isCallers
    ? new AwsError("MalformedHttpRequestException", message ?? "The request is malformed")
    : error;
}

/** One line per request. Neither texts nor signatures: a query string may hold one. */
function logRequest(request: FastifyRequest, status: number | "aborted", milliseconds?: number): void {
  const { method, url, ip, outcome } = request;
  const duration = milliseconds === undefined ? {} : { ms: Math.round(milliseconds) };
  request.log.info({ method, path: pathOf(url), status, ip, ...duration, ...outcome }, "request");
}

function pathOf(url: string): string {
  return url.split("?", 1)[0] ?? "";
}
