// The operator's door, on a port of its own: /metrics, /healthz, /readyz and /openapi.json. It answers nothing about
// texts or keys, and nothing here can be changed through it.
import type { FastifyInstance, FastifyServerOptions } from "fastify";
import type { Generator } from "../../request/generation.ts";
import type { Settings } from "../../settings.ts";
import { createHttpApp, sendJson } from "../http/http-app.ts";
import { AwsError, toAwsError } from "../http/http-errors.ts";
import type { Metrics } from "../http/metrics.ts";
import { type CallersDoor, openApi } from "./openapi.ts";
import { addRoutes, allowedMethods, EVERYBODY, type Handler, type OperationOf } from "./routes.ts";

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
  readonly logger?: FastifyServerOptions["logger"];
}

export function createAdminApp(options: AdminOptions): FastifyInstance {
  const { settings, door, baseUrl, metrics, generators, stateOf, logger } = options;
  const app = createHttpApp({
    settings,
    logger,
    methods: allowedMethods("admin"),
    toError: (error, { id }) =>
      toAwsError(error, { requestId: id, region: settings.region, endpoint: "admin" }),
  });
  const health = (): Record<string, string> =>
    Object.fromEntries([...generators()].map(([name, each]) => [name, each?.health ?? stateOf(name)]));
  const answerIf =
    (isWell: (state: string) => boolean): Handler =>
    async (_request, reply) => {
      const states = health();
      if (Object.values(states).every(isWell)) return sendJson(reply, states);
      throw new AwsError("ServiceUnavailable", `Not every endpoint is well: ${JSON.stringify(states)}`);
    };
  const handlers: Record<OperationOf<"admin">, Handler> = {
    healthz: answerIf((state) => state !== "failed"),
    readyz: answerIf((state) => state === "ready"),
    metrics: async (_request, reply) =>
      reply.header("content-type", metrics.contentType).send(await metrics.render()),
    openapi: async (_request, reply) => {
      const limits = limitsOf(settings, generators());
      return sendJson(reply, openApi({ door, baseUrl: baseUrl(), auth: settings.auth, limits }));
    },
  };
  addRoutes(app, "admin", handlers, EVERYBODY);
  return app;
}

/** The limits of the model that takes the longest texts: a description for all endpoints must not refuse any of them. */
function limitsOf(settings: Settings, generators: ReadonlyMap<string, Generator | undefined>) {
  const lengths = [...generators.values()].map((each) => each?.model.contextLength ?? 0);
  const { maxNumReturnSequences, maxNumBeams } = settings;
  return { contextLength: Math.max(1, ...lengths), maxNumReturnSequences, maxNumBeams };
}
