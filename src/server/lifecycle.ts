// What `serve` and `container` have in common: loading models, listening, the admin port, and the orderly stop.
import type { AddressInfo } from "node:net";
import { GptError, messageOf } from "../errors.ts";
import { type Environment, weightCacheOf } from "../files/cache-folders.ts";
import type { WatchedFile } from "../files/watched-file.ts";
import type { FoundModel } from "../generator/find-model.ts";
import { loadGenerator } from "../generator/load-generator.ts";
import { packageVersion } from "../generator/model-directory.ts";
import { memoryLimit } from "../machine/memory.ts";
import { MemoryBudget } from "../machine/memory-budget.ts";
import type { Generator } from "../request/generation.ts";
import type { EndpointSetting, Settings } from "../settings.ts";
import type { CallersDoor } from "./doors/openapi.ts";
import type { App } from "./http/http-app.ts";
import { listenOn } from "./http/listen.ts";
import type { Metrics } from "./http/metrics.ts";
import { type FindModel, ModelSearch } from "./model-search.ts";

export interface ModelsOptions {
  readonly env: Environment;
  readonly findModel: FindModel;
  /** Is told what the operator should know. */
  readonly onProblem: (message: string) => void;
  /** Is told of a model which part of its weights is read, from 0 to 1. */
  readonly onLoading?: (name: string, part: number) => void;
}

/** Models by endpoint name, each loaded once however many endpoints serve it. */
export class Models {
  readonly loading: ReadonlyMap<string, Promise<Generator>>;
  /** Resolves when an engine failed for good. */
  readonly fatalError: Promise<GptError>;
  readonly #loaded = new Map<string, Generator>();
  readonly #search: ModelSearch;
  readonly #modelOf: ReadonlyMap<string, string>;

  /**
   * `options.onProblem` is told of an engine that died and is restarted.
   * @throws GptError `invalid_checkpoint` when a model is nowhere to be found.
   */
  constructor(settings: Settings, endpoints: readonly EndpointSetting[], options: ModelsOptions) {
    const { onProblem } = options;
    let fail: (error: GptError) => void = () => {};
    this.fatalError = new Promise((resolve) => {
      fail = resolve;
    });
    const onDeath = (name: string, error: GptError, isFatal: boolean): void => {
      if (isFatal)
        fail(new GptError("engine_failed", `The engine of ${name} failed twice: ${error.message}`));
      else onProblem(`The engine of ${name} failed and is restarted: ${error.message}`);
    };
    this.#search = new ModelSearch(
      endpoints.map(({ model }) => model),
      options.findModel,
    );
    const memory = new MemoryBudget(memoryLimit());
    const byDirectory = new Map<string, Promise<Generator>>();
    const start = (model: FoundModel): Promise<Generator> => {
      const started = byDirectory.get(model.directory) ?? load(settings, model, memory, options, onDeath);
      byDirectory.set(model.directory, started);
      return started;
    };
    this.loading = new Map(
      endpoints.map(({ name, model }) => {
        const loading = this.#search.of(model).then(start);
        loading.then((generator) => this.#loaded.set(name, generator)).catch(() => {});
        return [name, loading];
      }),
    );
    this.#modelOf = new Map(endpoints.map(({ name, model }) => [name, model]));
  }

  /** What is being done about the model of an endpoint that cannot answer yet. */
  readonly stateOf = (endpoint: string): string => this.#search.stateOf(this.#modelOf.get(endpoint) ?? "");

  /** The generator of every endpoint; undefined while it is being loaded. */
  readonly byEndpoint = (): ReadonlyMap<string, Generator | undefined> =>
    new Map([...this.loading.keys()].map((name) => [name, this.#loaded.get(name)]));

  /** Every loaded generator once, under the first endpoint that it serves. */
  readonly loadedOnce = (): ReadonlyMap<string, Generator> => {
    const first = new Map([...this.#loaded].reverse().map(([name, generator]) => [generator, name]));
    return new Map([...first].map(([generator, name]) => [name, generator]));
  };

  /** @throws GptError with the first reason why one cannot be loaded. */
  async ready(): Promise<void> {
    await Promise.all(this.loading.values());
  }

  /** Cancels what is running or fetched. Models that are still being loaded are closed later, and not waited for. */
  async close(): Promise<void> {
    const stopped = this.#search.close();
    for (const each of new Set(this.loading.values())) each.then((model) => model.close()).catch(() => {});
    await Promise.all([stopped, ...[...new Set(this.#loaded.values())].map((model) => model.close())]);
  }
}

function load(
  settings: Settings,
  { directory, name, origin }: FoundModel,
  memory: MemoryBudget,
  { env, onProblem, onLoading }: ModelsOptions,
  onDeath: (name: string, error: GptError, isFatal: boolean) => void,
): Promise<Generator> {
  const weightCache = weightCacheOf(settings, env, onProblem);
  const { precision, kvCacheMb, prefixCache, kernels, threads, passTokensMax, passRowsMax } = settings;
  const { queueRequestsMax, queueTokensMax, requestDeadlineMs, engineStallTimeoutMs } = settings;
  return loadGenerator({
    ...{ model: directory, name, precision, kvCacheMb, kernels, prefixCache: prefixCache === "on" },
    ...{ threads, passTokensMax, passRowsMax, memory },
    queueRequestsMax,
    requestDeadlineMs,
    stallTimeoutMs: engineStallTimeoutMs,
    onProblem,
    ...(origin && { origin }),
    ...(weightCache && { weightCache }),
    ...(onLoading && { onLoading: (part) => onLoading(name, part) }),
    onDeath: (error, isFatal) => onDeath(name, error, isFatal),
    ...(queueTokensMax === 0 ? {} : { queueTokensMax }),
  });
}

/** @throws GptError `cannot_listen` */
export async function listen(app: App, host: string, port: number, flag = "--port"): Promise<void> {
  try {
    await listenOn(app, host, port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason =
      code === "EADDRINUSE"
        ? `the port is in use; choose another with ${flag}${flag === "--port" ? ", 0 for any" : ""}`
        : messageOf(error);
    throw new GptError("cannot_listen", `Cannot listen on ${host} port ${port}: ${reason}`);
  }
}

/** Where a server that listens on all addresses is reached. */
const LOOPBACK: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** The address at which clients on this machine reach the server. */
export function baseUrl(app: App, settings: Pick<Settings, "host" | "tlsCert">): string {
  const { port } = app.server.address() as AddressInfo;
  const host = LOOPBACK[settings.host] ?? settings.host;
  const scheme = settings.tlsCert === "" ? "http" : "https";
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export interface ServerParts {
  readonly door: CallersDoor;
  readonly app: App;
  readonly models: Pick<Models, "ready" | "byEndpoint" | "stateOf" | "fatalError" | "close">;
  readonly metrics: Metrics | undefined;
  /** Files that are read again when they change. */
  readonly files: readonly WatchedFile<unknown>[];
  readonly settings: Settings;
  /**
   * Is called for SIGHUP, which never ends a request: reads again what can be read again without a stop, and says so in
   * the log.
   */
  readonly onReload: () => void;
}

/**
 * Listens first, so that `/ping` tells of the loading; then serves until `stopped` resolves or an engine failed for good.
 * `onReady` is told the address when the models are ready. A stop is announced for `drainDelayMs`; after that it resolves
 * within `drainTimeoutMs` and a second, whatever is open, loading or stuck; what still runs then has to be ended with the process.
 * @returns the exit code
 * @throws GptError when the start or an engine failed
 */
export async function run(
  parts: Omit<ServerParts, "onReload"> & { readonly stopped: Promise<unknown> },
  onReady: (baseUrl: string) => void,
): Promise<number> {
  const { app, models, settings } = parts;
  const stopped = parts.stopped.then(() => "stopped" as const);
  const admin = await adminOf(parts);
  const apps = admin === undefined ? [app] : [app, admin];
  try {
    const started = Promise.all([
      models.ready(),
      listen(app, settings.host, settings.port),
      admin && listen(admin, settings.adminHost, settings.adminPort, "--admin-port"),
    ]);
    const first = await Promise.race([started.then(() => "ready" as const), stopped]);
    if (first === "stopped") {
      await drain(apps, models, settings.drainTimeoutMs);
      return 0;
    }
  } catch (error) {
    await drain(apps, models, 0);
    throw error;
  }
  const url = baseUrl(app, settings);
  app.log.info({ url, ...served(models) }, "ready");
  onReady(url);
  const reason = await Promise.race([stopped, models.fatalError]);
  if (reason === "stopped") await leave(app, models.fatalError, settings.drainDelayMs);
  await drain(apps, models, settings.drainTimeoutMs);
  if (reason === "stopped") return 0;
  throw reason;
}

/** What a start is told of in the log: this software, and by endpoint what computes for it. */
function served({ byEndpoint }: Pick<Models, "byEndpoint">) {
  const endpoints = [...byEndpoint()].map(([endpoint, generator]) => {
    const { name: model, precision, kernels, threads } = generator?.model ?? {};
    return { endpoint, model, precision, kernels, threads };
  });
  return { version: packageVersion(), endpoints };
}

/** Announces the stop, and gives proxies time to hear of it; an engine beyond help is not waited for. */
async function leave(app: App, fatalError: Promise<unknown>, delayMs: number): Promise<void> {
  app.connections.leave();
  if (delayMs === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, delayMs);
  });
  await Promise.race([waited, fatalError]);
  clearTimeout(timer);
}

/** Undefined without an admin port: nobody could read them. */
export async function metricsOf(
  settings: Pick<Settings, "adminPort">,
  models: Pick<Models, "loadedOnce">,
): Promise<Metrics | undefined> {
  if (settings.adminPort === 0) return undefined;
  const { Metrics } = await import("./http/metrics.ts");
  return new Metrics(models.loadedOnce);
}

async function adminOf({
  door,
  app,
  models,
  metrics,
  files,
  settings,
}: Omit<ServerParts, "onReload">): Promise<App | undefined> {
  if (metrics === undefined) return undefined;
  metrics.watch(app.connections);
  metrics.watchModels(models.byEndpoint, packageVersion());
  metrics.watchFiles(files);
  const { createAdminApp } = await import("./doors/admin.ts");
  return createAdminApp({
    settings,
    door,
    baseUrl: () => (app.server.listening ? baseUrl(app, settings) : undefined),
    metrics,
    generators: models.byEndpoint,
    stateOf: models.stateOf,
    files,
    isLeaving: () => app.connections.isLeaving,
  });
}

/** How long answers that were cancelled may take to leave; then connections are cut. */
const FLUSH_MS = 500;
/** How long engines may then take to end. */
const CLOSE_MS = 250;

/**
 * Accepts nothing more and waits for the open requests; those that are open after `timeoutMs` are cancelled, and their
 * callers told. Resolves within 750 ms more, whatever hangs. The applications are closed one after the other: the admin
 * port tells of a stop until it is over.
 */
export async function drain(
  apps: readonly App[],
  models: Pick<Models, "close">,
  timeoutMs: number,
): Promise<void> {
  const timers: NodeJS.Timeout[] = [];
  const after = (ms: number, action: () => void): void => void timers.push(setTimeout(action, ms));
  const tooLate = new Promise<void>((resolve) => after(timeoutMs + FLUSH_MS + CLOSE_MS, resolve));
  after(timeoutMs, () => models.close().catch(() => {}));
  after(timeoutMs + FLUSH_MS, () => {
    for (const app of apps) app.connections.cut();
  });
  const ended = closeInTurn(apps).then(() => models.close());
  await Promise.race([ended, tooLate]);
  for (const timer of timers) clearTimeout(timer);
}

async function closeInTurn(apps: readonly App[]): Promise<void> {
  for (const app of apps) await app.close();
}
