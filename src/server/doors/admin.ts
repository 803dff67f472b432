// The operator's door, on a port of its own: /metrics, /healthz, /readyz, /openapi.json and /reload. It answers nothing about
// texts or keys, and nothing can be changed through it but that a model is loaded anew from where it always comes from.
import type { FastifyInstance, FastifyReply, FastifyServerOptions } from "fastify";
import type { FileState, WatchedFile } from "../../files/watched-file.ts";
import type { Generator } from "../../request/generation.ts";
import type { Settings } from "../../settings.ts";
import { createHttpApp, sendJson } from "../http/http-app.ts";
import { AwsError, toAwsError } from "../http/http-errors.ts";
import type { Metrics } from "../http/metrics.ts";
import { type CallersDoor, openApi } from "./openapi.ts";
import {
  addRoutes,
  allowedMethods,
  EVERYBODY,
  type Handler,
  type OperationOf,
  type RoutedRequest,
} from "./routes.ts";

export interface AdminOptions {
  readonly settings: Settings;
  /** The door for callers, and its scheme, host and port once it listens. */
  readonly door: CallersDoor;
  readonly baseUrl: () => string | undefined;
  readonly metrics: Metrics;
  /** The generator of every endpoint; undefined while it is being loaded. */
  readonly generators: () => ReadonlyMap<string, Generator | undefined>;
  /** What is being done about one that is undefined. */
  readonly stateOf: (endpoint: string) => string;
  /** The models by the first endpoint of each: what is to be told of their reloads. */
  readonly reloads: () => ReadonlyMap<string, ReloadNews>;
  /** Reloads the model of an endpoint, or of all. */
  readonly reload: (endpoint: string | undefined) => Promise<readonly ReloadAnswer[]>;
  /** Files that are read again when they change. */
  readonly files: readonly WatchedFile<unknown>[];
  /** Whether the server's stop was announced. */
  readonly isLeaving: () => boolean;
  readonly logger?: FastifyServerOptions["logger"];
}

/** Undefined: nothing. */
export interface ReloadNews {
  readonly news: string | undefined;
}

export interface ReloadAnswer {
  readonly endpoints: readonly string[];
  readonly model: string;
  readonly result: "replaced" | "unchanged" | "refused" | "failed";
  readonly message: string;
}

export function createAdminApp(options: AdminOptions): FastifyInstance {
  const { settings, door, baseUrl, metrics, generators, stateOf, reloads, files, isLeaving, logger } =
    options;
  const app = createHttpApp({
    settings,
    logger,
    methods: allowedMethods("admin"),
    toError: (error, { id }) =>
      toAwsError(error, { requestId: id, region: settings.region, endpoint: "admin" }),
  });
  const endpoints = (): Record<string, string> =>
    Object.fromEntries([...generators()].map(([name, each]) => [name, each?.health ?? stateOf(name)]));
  const handlers: Record<OperationOf<"admin">, Handler> = {
    healthz: async (_request, reply) => {
      const states = endpoints();
      return answerStates(reply, states, !Object.values(states).includes("failed"));
    },
    readyz: async (_request, reply) => {
      if (isLeaving()) throw new AwsError("ServiceUnavailable", "The server is stopping");
      const states = endpoints();
      const allReady = Object.values(states).every((state) => state === "ready");
      const fileStates = files.map(stateNow);
      const told = Object.fromEntries(fileStates.map(({ flag, problem }) => [flag, problem ?? "ready"]));
      return answerStates(
        reply,
        { ...states, ...told, ...newsOf(reloads()) },
        allReady && !fileStates.some(({ isUrgent }) => isUrgent),
      );
    },
    metrics: async (_request, reply) =>
      reply.header("content-type", metrics.contentType).send(await metrics.render()),
    openapi: async (_request, reply) => {
      const limits = limitsOf(settings, generators());
      return sendJson(reply, openApi({ door, baseUrl: baseUrl(), auth: settings.auth, limits }));
    },
    reload: async (request, reply) => answerReload(request, reply, options),
  };
  addRoutes(app, "admin", handlers, EVERYBODY);
  return app;
}

function stateNow(file: WatchedFile<unknown>): FileState {
  file.check();
  return file.state;
}

/** What keeps an old model in its place does not keep it from answering. No endpoint's name has a space. */
function newsOf(reloads: ReadonlyMap<string, ReloadNews>): Record<string, string> {
  const told: Record<string, string> = {};
  for (const [endpoint, { news }] of reloads) if (news !== undefined) told[`reload of ${endpoint}`] = news;
  return told;
}

/** 500 where a model was not put in its place, so that a script sees it; the body is the same. */
async function answerReload(
  { params, headers }: RoutedRequest,
  reply: FastifyReply,
  { generators, reload }: Pick<AdminOptions, "generators" | "reload">,
): Promise<FastifyReply> {
  // Any page in a browser on this machine may send a POST to any of its ports.
  if (headers.origin !== undefined) {
    throw new AwsError("AccessDeniedException", "A web page may not reload models");
  }
  const { EndpointName: endpoint } = params;
  if (endpoint !== undefined && !generators().has(endpoint)) {
    const names = [...generators().keys()].join(", ");
    throw new AwsError("ValidationError", `There is no endpoint ${JSON.stringify(endpoint)}, only ${names}`);
  }
  const models = await reload(endpoint);
  const isWell = models.every(({ result }) => result === "replaced" || result === "unchanged");
  return sendJson(reply.code(isWell ? 200 : 500), { models });
}

/** By endpoint, and by the flag of a file: no endpoint's name begins with a hyphen. */
function answerStates(reply: FastifyReply, states: Readonly<Record<string, string>>, isWell: boolean) {
  if (isWell) return sendJson(reply, states);
  throw new AwsError("ServiceUnavailable", `Not all is well: ${JSON.stringify(states)}`);
}

/** The limits of the model that takes the longest texts: a description for all endpoints must not refuse any of them. */
function limitsOf(settings: Settings, generators: ReadonlyMap<string, Generator | undefined>) {
  const lengths = [...generators.values()].map((each) => each?.model.contextLength ?? 0);
  const { maxNumReturnSequences, maxNumBeams } = settings;
  return { contextLength: Math.max(1, ...lengths), maxNumReturnSequences, maxNumBeams };
}
