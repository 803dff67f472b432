// Every route of every door in one table: its method, its path, and the operation behind it, under whose name a door adds
// the function that answers. The answers 404 and 405 and the OpenAPI description are made from the same rows. No function
// that answers stands here.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { nextTurn } from "../../event-loop.ts";
import { bodyOf } from "../http/http-app.ts";

export interface Route {
  readonly method: "GET" | "POST";
  /** As OpenAPI writes it: `{EndpointName}` stands for one segment, `{+Model}`, at the end, for all that follows. */
  readonly path: string;
  /** The same below an endpoint. */
  readonly alsoAt?: string | undefined;
  /** Of its bodies and errors: its clients read no other form. Default: SageMaker's. */
  readonly dialect?: "openai" | "tgi" | "playground";
  /** What it does, for people. */
  readonly summary: string;
  /** Anybody may ask, whatever the server asks of its callers otherwise. */
  readonly isForEverybody?: true;
  /** Proxies and platforms ask it every second: an answer that all is well is no news for the log. */
  readonly isProbe?: true;
}

/** What OpenAI's clients use, at the root and below an endpoint; the tokenizer's routes are vLLM's. */
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

/** What the clients of Hugging Face's TGI use, at the root for the first endpoint, and below an endpoint. */
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

/** What the playground's page uses. It is no contract: page and server come from the same release. */
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

/** The routes of each door, by the name of the operation, which the log and the metrics tell too. */
export const ROUTES = {
  /** What callers of the SageMaker Runtime use. */
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
  /** What SageMaker calls inside an image; the platform stands before it and asks who is calling. */
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
  /** What the operator looks at. */
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
 * The dialect of the route that a request to the runtime front or the playground met. One that was refused before it met any,
 * for its method or its size, has that of its path.
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

export type Door = keyof typeof ROUTES;
export type OperationOf<D extends Door> = keyof (typeof ROUTES)[D] & string;

export type RoutedRequest = FastifyRequest<{ Params: Readonly<Record<string, string>> }>;

/** Answers one request. */
export type Handler = (request: RoutedRequest, reply: FastifyReply) => Promise<unknown>;

/** The rows of a door. */
export function routesOf<D extends Door>(door: D): readonly (readonly [OperationOf<D>, Route])[] {
  return Object.entries(ROUTES[door]) as unknown as readonly (readonly [OperationOf<D>, Route])[];
}

/** Two checks of who is asking: of a request's head, and of all of it once its body is there. */
export interface CallerChecks {
  checkHead(request: FastifyRequest): void;
  identify(request: FastifyRequest): void;
}

/** Nobody is asked who he is. */
export const EVERYBODY: CallerChecks = { checkHead() {}, identify() {} };

/** Adds a door's routes: the function that answers each, and who may ask. */
export function addRoutes<D extends Door>(
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
          // A large body takes milliseconds to hash: its arrival has its own turn.
          if (bodyOf(request).length > LARGE_BODY) await nextTurn();
          checks.identify(request);
          if (bodyOf(request).length > LARGE_BODY) await nextTurn();
        },
        handler: handlers[operation],
      });
    }
  }
}

/** Where a route answers. */
export function pathsOf({ path, alsoAt }: Route): readonly string[] {
  return alsoAt === undefined ? [path] : [path, alsoAt];
}

/** Bytes from which on a body is worth turns of its own. */
const LARGE_BODY = 2 ** 18;

/** A path, and the methods that it answers to. */
export interface AllowedMethods {
  readonly path: RegExp;
  /** As the Allow header lists them. */
  readonly allow: string;
}

/** What the paths of doors that share an address answer to, for 405. */
export function allowedMethods(...doors: readonly Door[]): readonly AllowedMethods[] {
  const methods = new Map<string, string[]>();
  for (const [, route] of doors.flatMap((door) => routesOf(door))) {
    // Whoever answers GET answers HEAD too.
    const own = route.method === "GET" ? ["GET", "HEAD"] : [route.method];
    for (const path of pathsOf(route)) methods.set(path, [...(methods.get(path) ?? []), ...own]);
  }
  return [...methods].map(([path, list]) => ({ path: patternOf(path), allow: list.join(", ") }));
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.]/g, "\\.").replace(REST, ".+").replace(PARAMETER, "[^/]*")}$`);
}
