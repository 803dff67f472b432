// What `serve` and `container` have in common: listening, the admin port, and the orderly stop.
import type { AddressInfo } from "node:net";
import { GptError, messageOf } from "../errors.ts";
import type { WatchedFile } from "../files/watched-file.ts";
import { packageVersion } from "../generator/model-directory.ts";
import type { Settings } from "../settings.ts";
import type { CallersDoor } from "./doors/openapi.ts";
import type { App } from "./http/http-app.ts";
import { listenOn } from "./http/listen.ts";
import type { Metrics } from "./http/metrics.ts";
import type { Models } from "./models.ts";

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

/** What is needed of `Models`. */
export type ServedModels = Pick<
  Models,
  | "ready"
  | "byEndpoint"
  | "byFirstEndpoint"
  | "stateOf"
  | "reload"
  | "look"
  | "stopReloads"
  | "fatalError"
  | "close"
>;

export interface ServerParts {
  readonly door: CallersDoor;
  readonly app: App;
  readonly models: ServedModels;
  readonly metrics: Metrics | undefined;
  /** Files that are read again when they change. */
  readonly files: readonly WatchedFile<unknown>[];
  readonly settings: Settings;
  /**
   * Is called for SIGHUP, which never ends a request: reads again what can be read again without a stop, and says so in
   * the log. The models are then reloaded.
   */
  readonly onReload: () => void;
}

/** SIGHUP. */
export function reload({ models, onReload }: Pick<ServerParts, "models" | "onReload">): void {
  onReload();
  void models.reload();
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
  const stopWatching = settings.watchModel ? watch(models, settings) : () => {};
  const reason = await Promise.race([stopped, models.fatalError]);
  stopWatching();
  models.stopReloads();
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

/** How often --watch-model looks at files; a change is seen at the second look after its last write. */
const LOOK_MS = 10_000;

/** Looks at the models' files now and then, and asks the hub more rarely; the returned function ends it. */
export function watch(
  models: Pick<Models, "look">,
  { watchHubIntervalMs }: Pick<Settings, "watchHubIntervalMs">,
): () => void {
  let sinceHubMs = 0;
  let isLooking = false;
  const look = async (): Promise<void> => {
    sinceHubMs += LOOK_MS;
    if (isLooking) return; // A disk or a hub is slow, or a model is being loaded.
    isLooking = true;
    const asksHub = sinceHubMs >= watchHubIntervalMs;
    if (asksHub) sinceHubMs = 0;
    await models.look(asksHub);
    isLooking = false;
  };
  const timer = setInterval(() => void look(), LOOK_MS).unref();
  return () => clearInterval(timer);
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
  metrics.watchReloads(models.byFirstEndpoint);
  const { createAdminApp } = await import("./doors/admin.ts");
  return createAdminApp({
    settings,
    door,
    baseUrl: () => (app.server.listening ? baseUrl(app, settings) : undefined),
    metrics,
    generators: models.byEndpoint,
    stateOf: models.stateOf,
    reloads: models.byFirstEndpoint,
    reload: (endpoint) => models.reload(endpoint),
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
  models: Pick<Models, "close" | "stopReloads">,
  timeoutMs: number,
): Promise<void> {
  models.stopReloads();
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
