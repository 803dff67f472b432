// The operator's door, on a port of its own: /metrics, /healthz, /readyz and /openapi.json. It answers nothing about
// texts or keys, and nothing here can be changed through it.
import type { FastifyInstance, FastifyServerOptions } from "fastify";
import type { Generator } from "../../request/generation.ts";
import type { Settings } from "../../settings.ts";
import { createHttpApp, sendJson } from "../http/http-app.ts";
import { AwsError, toAwsError } from "../http/http-errors.ts";
import type { Metrics } from "../http/metrics.ts";
import { openApi } from "./openapi.ts";

export interface AdminOptions {
  readonly settings: Settings;
  readonly metrics: Metrics;
  /** The generator of every endpoint; undefined while it is being loaded. */
  readonly generators: () => ReadonlyMap<string, Generator | undefined>;
  readonly logger?: FastifyServerOptions["logger"];
}

const METHODS = [{ path: /^\/(metrics|healthz|readyz|openapi\.json)$/, allow: "GET, HEAD" }];

export function createAdminApp({ settings, metrics, generators, logger }: AdminOptions): FastifyInstance {
  const app = createHttpApp({
    ...{ settings, logger },
    methods: METHODS,
    toError: (error, { id }) =>
      toAwsError(error, { requestId: id, region: settings.region, endpoint: "admin" }),
  });
  const health = (): Record<string, string> =>
    Object.fromEntries([...generators()].map(([name, each]) => [name, each?.health ?? "loading"]));
  const check = (isWell: (state: string) => boolean) => () => {
    const states = health();
    if (Object.values(states).every(isWell)) return states;
    throw new AwsError("ServiceUnavailable", `Not every endpoint is well: ${JSON.stringify(states)}`);
  };
  const alive = check((state) => state !== "failed");
  const ready = check((state) => state === "ready");
  app.get("/healthz", async (_request, reply) => sendJson(reply, alive()));
  app.get("/readyz", async (_request, reply) => sendJson(reply, ready()));
  app.get("/metrics", async (_request, reply) =>
    reply.header("content-type", metrics.contentType).send(await metrics.render()),
  );
  app.get("/openapi.json", async (_request, reply) =>
    sendJson(reply, openApi(limitsOf(settings, generators()))),
  );
  return app;
}

/** The limits of the model that takes the longest texts: a description for all endpoints must not refuse any of them. */
function limitsOf(settings: Settings, generators: ReadonlyMap<string, Generator | undefined>) {
  const lengths = [...generators.values()].map((each) => each?.model.contextLength ?? 0);
  const { maxNumReturnSequences, maxNumBeams } = settings;
  return { contextLength: Math.max(1, ...lengths), maxNumReturnSequences, maxNumBeams };
}
