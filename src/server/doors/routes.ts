// The table of all routes: method, path and operation. Each door registers the functions that answer, by operation. The
// answers 404 and 405 and the OpenAPI description are made from the same table. The functions themselves are elsewhere.
//
// A door is an HTTP application for one kind of caller: `runtime`, `container` or `admin`. `playground` are further routes
// of the runtime door.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { nextTurn } from "../../event-loop.ts";
import { bodyOf } from "../http/http-app.ts";

export interface Route {
  readonly method: "GET" | "POST";
  /** As in OpenAPI: `{EndpointName}` matches one segment. `{+Model}`, at the end, matches all further segments. */
  readonly path: string;
  /** A second path: the same route below an endpoint. */
  readonly alsoAt?: string | undefined;
  /** The form of its bodies and errors. Default: SageMaker's. */
  readonly dialect?: "openai" | "tgi" | "playground";
  /** What it does, in words. */
  readonly summary: string;
  /** True: no authentication, whatever the server's setting is. */
  readonly isForEverybody?: true;
  /** True: a health check, which proxies may call every second. If it succeeds, it is logged at level debug only. */
  readonly isProbe?: true;
}

/** The routes for OpenAI's clients, at the root and below an endpoint. Those of the tokenizer are vLLM's. */
const OPENAI = {
  CreateCompletion: {
    method: "POST",
    path: "/v1/completions",
    alsoAt: "/endpoints/{EndpointName}/openai/v1/completions",
    summary: "Completes a text, as OpenAI's completions do.",
    dialect: "openai",
  },
  CreateChatCompletion: {
    method: "POST",
    path: "/v1/chat/completions",
    alsoAt: "/endpoints/{EndpointName}/openai/v1/chat/completions",
    summary: "Is refused by name: GPT-2 only continues texts.",
    dialect: "openai",
  },
  CreateResponse: {
    method: "POST",
    path: "/v1/responses",
    alsoAt: "/endpoints/{EndpointName}/openai/v1/responses",
    summary: "Is refused by name: GPT-2 only continues texts.",
    dialect: "openai",
  },
  ListModels: {
    method: "GET",
    path: "/v1/models",
    alsoAt: "/endpoints/{EndpointName}/openai/v1/models",
    summary: "Tells the endpoints that the caller may invoke.",
    dialect: "openai",
  },
  RetrieveModel: {
    method: "GET",
    path: "/v1/models/{+Model}",
    alsoAt: "/endpoints/{EndpointName}/openai/v1/models/{+Model}",
    summary: "Tells one of them.",
    dialect: "openai",
  },
  TokenizerInfo: {
    method: "GET",
    path: "/tokenizer_info",
    alsoAt: "/endpoints/{EndpointName}/openai/tokenizer_info",
    summary: "Tells the special tokens of a model.",
    dialect: "openai",
  },
  Tokenize: {
    method: "POST",
    path: "/tokenize",
    alsoAt: "/endpoints/{EndpointName}/openai/tokenize",
    summary: "Turns a text into token ids.",
    dialect: "openai",
  },
  Detokenize: {
    method: "POST",
    path: "/detokenize",
    alsoAt: "/endpoints/{EndpointName}/openai/detokenize",
    summary: "Turns token ids into a text.",
    dialect: "openai",
  },
} as const satisfies Readonly<Record<string, Route>>;

/** The routes for clients of Hugging Face's TGI, at the root (for the first endpoint) and below an endpoint. */
const TGI = {
  TgiCompat: {
    method: "POST",
    path: "/",
    alsoAt: "/endpoints/{EndpointName}",
    summary: "Completes a text, whole or while it grows, as TGI does.",
    dialect: "tgi",
  },
  TgiGenerate: {
    method: "POST",
    path: "/generate",
    alsoAt: "/endpoints/{EndpointName}/generate",
    summary: "Completes a text, as TGI does.",
    dialect: "tgi",
  },
  TgiGenerateStream: {
    method: "POST",
    path: "/generate_stream",
    alsoAt: "/endpoints/{EndpointName}/generate_stream",
    summary: "Completes a text and answers while it grows, as TGI does.",
    dialect: "tgi",
  },
  TgiInfo: {
    method: "GET",
    path: "/info",
    alsoAt: "/endpoints/{EndpointName}/info",
    summary: "Tells about a model, as TGI does.",
    dialect: "tgi",
  },
  TgiHealth: {
    method: "GET",
    path: "/health",
    alsoAt: "/endpoints/{EndpointName}/health",
    summary: "Tells whether a model is ready.",
    dialect: "tgi",
    isForEverybody: true,
    isProbe: true,
  },
} as const satisfies Readonly<Record<string, Route>>;

/** The routes for the playground's page. They may change at any release, because the page comes with the server. */
const PLAYGROUND = {
  PlaygroundPage: {
    method: "GET",
    path: "/",
    summary: "Shows the playground to a browser that was opened by a link.",
    dialect: "playground",
    isForEverybody: true,
  },
  PlaygroundFacts: {
    method: "GET",
    path: "/playground/facts",
    summary: "Tells the endpoints and the parameters.",
    dialect: "playground",
  },
  PlaygroundGenerate: {
    method: "POST",
    path: "/playground/generate",
    summary: "Completes a text and tells how each token was chosen.",
    dialect: "playground",
  },
  PlaygroundNext: {
    method: "POST",
    path: "/playground/next",
    summary: "Tells the logits of the token behind a text.",
    dialect: "playground",
  },
  PlaygroundScore: {
    method: "POST",
    path: "/playground/score",
    summary: "Tells how likely a text is, token by token.",
    dialect: "playground",
  },
  PlaygroundTokenize: {
    method: "POST",
    path: "/playground/tokenize",
    summary: "Turns a text into tokens.",
    dialect: "playground",
  },
  PlaygroundClients: {
    method: "POST",
    path: "/playground/clients",
    summary: "Writes a request as the commands and programs of its clients.",
    dialect: "playground",
  },
  PlaygroundScript: {
    method: "GET",
    path: "/playground/app.js",
    summary: "Sends the page's script.",
    dialect: "playground",
  },
  PlaygroundStyle: {
    method: "GET",
    path: "/playground/app.css",
    summary: "Sends the page's style.",
    dialect: "playground",
  },
  PlaygroundIcon: {
    method: "GET",
    path: "/playground/icon.svg",
    summary: "Sends the page's icon.",
    dialect: "playground",
  },
} as const satisfies Readonly<Record<string, Route>>;

/** The routes of each door, by the name of the operation. The log and the metrics use the same names. */
export const ROUTES = {
  /** For callers of the SageMaker Runtime. */
  runtime: {
    InvokeEndpoint: {
      method: "POST",
      path: "/endpoints/{EndpointName}/invocations",
      summary: "Completes a text.",
    },
    InvokeEndpointWithResponseStream: {
      method: "POST",
      path: "/endpoints/{EndpointName}/invocations-response-stream",
      summary: "Completes a text and answers while it grows.",
    },
    InvokeEndpointAsync: {
      method: "POST",
      path: "/endpoints/{EndpointName}/async-invocations",
      summary: "Is refused by name: there is nowhere to leave an answer.",
    },
    Ping: {
      method: "GET",
      path: "/ping",
      summary: "Tells whether every model is ready.",
      isForEverybody: true,
      isProbe: true,
    },
    ...OPENAI,
    ...TGI,
  },
  /** What SageMaker calls inside an image. The platform authenticates callers before. */
  container: {
    invocations: {
      method: "POST",
      path: "/invocations",
      summary: "Completes a text, whole or while it grows.",
    },
    ping: {
      method: "GET",
      path: "/ping",
      summary: "Tells whether the model is ready.",
      isProbe: true,
    },
    "execution-parameters": {
      method: "GET",
      path: "/execution-parameters",
      summary: "Tells batch transform how much may be asked at a time.",
    },
    CreateCompletion: { ...OPENAI.CreateCompletion, alsoAt: undefined },
    CreateChatCompletion: { ...OPENAI.CreateChatCompletion, alsoAt: undefined },
    ListModels: { ...OPENAI.ListModels, alsoAt: undefined },
  },
  playground: PLAYGROUND,
  /** For the operator. */
  admin: {
    healthz: { method: "GET", path: "/healthz", summary: "Tells whether an engine is beyond help." },
    readyz: { method: "GET", path: "/readyz", summary: "Tells whether every endpoint answers." },
    metrics: { method: "GET", path: "/metrics", summary: "Tells the server's numbers to Prometheus." },
    openapi: { method: "GET", path: "/openapi.json", summary: "Describes the runtime front." },
    reload: {
      method: "POST",
      path: "/reload",
      alsoAt: "/reload/{EndpointName}",
      summary: "Loads what the models' names stand for now, and tells what came of it.",
    },
  },
} as const satisfies Record<string, Readonly<Record<string, Route>>>;

/**
 * The dialect of the route that a request to the runtime door matched. A request that was refused before, for its method or
 * its size, has the dialect of its path.
 */
export function dialectOf({ record, url }: FastifyRequest): Route["dialect"] {
  const routes: Readonly<Record<string, Route>> = { ...ROUTES.runtime, ...ROUTES.playground };
  if (record.operation !== undefined) return routes[record.operation]?.dialect;
  const path = url.split("?", 1)[0] as string;
  return DIALECT_PATHS.find(({ pattern }) => pattern.test(path))?.dialect;
}

const PARAMETER = /\{(\w+)\}/g;
const REST = /\{\+\w+\}$/;

const DIALECT_PATHS = routesOf("runtime").flatMap(([, route]) =>
  pathsOf(route).map((path) => ({ pattern: patternOf(path), dialect: route.dialect })),
);

export type DoorName = keyof typeof ROUTES;
export type OperationOf<D extends DoorName> = keyof (typeof ROUTES)[D] & string;

export type RoutedRequest = FastifyRequest<{ Params: Readonly<Record<string, string>> }>;

/** Answers one request. */
export type Handler = (request: RoutedRequest, reply: FastifyReply) => Promise<unknown>;

/** The routes of a door. */
export function routesOf<D extends DoorName>(door: D): readonly (readonly [OperationOf<D>, Route])[] {
  return Object.entries(ROUTES[door]) as unknown as readonly (readonly [OperationOf<D>, Route])[];
}

/** The two steps of authentication: with the head of a request, and again when its body has come. */
export interface CallerChecks {
  checkHead(request: FastifyRequest): void;
  identify(request: FastifyRequest): void;
}

/** No authentication. */
export const EVERYBODY: CallerChecks = { checkHead() {}, identify() {} };

/** Registers the routes of a door with the functions that answer and the checks of callers. */
export function addRoutes<D extends DoorName>(
  app: FastifyInstance,
  door: D,
  handlers: Readonly<Record<OperationOf<D>, Handler>>,
  callers: CallerChecks,
): void {
  for (const [operation, route] of routesOf(door)) {
    const checks = route.isForEverybody ? EVERYBODY : callers;
    for (const path of pathsOf(route)) {
      app.route<{ Params: Readonly<Record<string, string>> }>({
        method: route.method,
        url: path.replace(REST, "*").replace(PARAMETER, ":$1"),
        config: { isProbe: route.isProbe === true },
        onRequest: async (request) => {
          request.record.operation = operation;
          checks.checkHead(request);
        },
        preHandler: async (request) => {
          // Hashing a large body takes milliseconds, so it gets a turn of the event loop of its own.
          if (bodyOf(request).length > LARGE_BODY) await nextTurn();
          checks.identify(request);
          if (bodyOf(request).length > LARGE_BODY) await nextTurn();
        },
        handler: handlers[operation],
      });
    }
  }
}

/** All paths of a route. */
export function pathsOf({ path, alsoAt }: Route): readonly string[] {
  return alsoAt === undefined ? [path] : [path, alsoAt];
}

/** Bodies of more bytes get turns of the event loop of their own. */
const LARGE_BODY = 2 ** 18;

/** A path and the methods that it has. */
export interface AllowedMethods {
  readonly path: RegExp;
  /** The value of the Allow header. */
  readonly allow: string;
}

/** The paths of doors that share an address, and the methods of each, for answers with 405. */
export function allowedMethods(...doors: readonly DoorName[]): readonly AllowedMethods[] {
  const methods = new Map<string, string[]>();
  for (const [, route] of doors.flatMap((door) => routesOf(door))) {
    // A route for GET also answers HEAD.
    const own = route.method === "GET" ? ["GET", "HEAD"] : [route.method];
    for (const path of pathsOf(route)) methods.set(path, [...(methods.get(path) ?? []), ...own]);
  }
  return [...methods].map(([path, list]) => ({ path: patternOf(path), allow: list.join(", ") }));
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.]/g, "\\.").replace(REST, ".+").replace(PARAMETER, "[^/]*")}$`);
}
