// The operator's HTTP application, on a port of its own: /metrics, /healthz, /readyz, /openapi.json and /reload. It reveals
// no texts and no keys. The only change it can make is to load a model again from its usual place.
import type { FastifyInstance, FastifyReply, FastifyServerOptions } from "fastify";
import type { FileState, WatchedFile } from "../../files/watched-file.ts";
import type { Generator } from "../../request/generation.ts";
import type { Settings } from "../../settings.ts";
import { createHttpApp, type HttpSettings, sendJson } from "../http/http-app.ts";
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
import type { ModelSettings } from "./served-model.ts";

export interface AdminOptions {
  readonly settings: HttpSettings & ModelSettings & Pick<Settings, "auth" | "region">;
  /** Which door serves the callers, and its scheme, host and port once it listens. */
  readonly door: CallersDoor;
  readonly baseUrl: () => string | undefined;
  readonly metrics: Metrics;
  /** The generator of every endpoint; undefined while its model loads. */
  readonly generators: () => ReadonlyMap<string, Generator | undefined>;
  /** What is being done for an endpoint whose generator is undefined. */
  readonly stateOf: (endpoint: string) => string;
  /** What /readyz reports about reloads, by the first endpoint of each model. */
  readonly reloads: () => ReadonlyMap<string, ReloadNote>;
  /** Reloads the model of one endpoint, or all models. */
  readonly reload: (endpoint: string | undefined) => Promise<readonly ReloadAnswer[]>;
  /** Files that are read again when they change. */
  readonly files: readonly WatchedFile<unknown>[];
  /** Whether a stop of the server was announced. */
  readonly isLeaving: () => boolean;
  readonly logger?: FastifyServerOptions["logger"];
}

/** `reloadNote` is undefined if there is nothing to report. */
export interface ReloadNote {
  readonly reloadNote: string | undefined;
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
      const statesOfFiles = Object.fromEntries(
        fileStates.map(({ flag, problem }) => [flag, problem ?? "ready"]),
      );
      return answerStates(
        reply,
        { ...states, ...statesOfFiles, ...reloadNotes(reloads()) },
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

/** Notes do not make the server unready: after a failed reload the old model goes on serving. Endpoint names have no space. */
function reloadNotes(reloads: ReadonlyMap<string, ReloadNote>): Record<string, string> {
  const notes: Record<string, string> = {};
  for (const [endpoint, { reloadNote }] of reloads)
    if (reloadNote !== undefined) notes[`reload of ${endpoint}`] = reloadNote;
  return notes;
}

/** The status is 500 if a model could not be replaced, so that a script notices. The body is the same. */
async function answerReload(
  { params, headers }: RoutedRequest,
  reply: FastifyReply,
  { generators, reload }: Pick<AdminOptions, "generators" | "reload">,
): Promise<FastifyReply> {
  // Any web page in a browser on this machine can send a POST to this port. Browsers then send Origin.
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

/** The states by endpoint, and by flag for files. They cannot collide, since no endpoint's name begins with a hyphen. */
function answerStates(reply: FastifyReply, states: Readonly<Record<string, string>>, isWell: boolean) {
  if (isWell) return sendJson(reply, states);
  throw new AwsError("ServiceUnavailable", `Not everything is ready: ${JSON.stringify(states)}`);
}

/** The limits of the model with the longest context: one description is for all endpoints and must not rule out any request. */
function limitsOf(settings: ModelSettings, generators: ReadonlyMap<string, Generator | undefined>) {
  const lengths = [...generators.values()].map((each) => each?.model.contextLength ?? 0);
  const { maxNumReturnSequences, maxNumBeams } = settings;
  return { contextLength: Math.max(1, ...lengths), maxNumReturnSequences, maxNumBeams };
}
