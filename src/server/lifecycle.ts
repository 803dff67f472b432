// What `serve` and `container` share: listening, the admin port, watching models, and the orderly stop.
import type { AddressInfo } from "node:net";
import { GptError, messageOf } from "../errors.ts";
import type { WatchedFile } from "../files/watched-file.ts";
import { packageVersion } from "../generator/model-directory.ts";
import type { Settings } from "../settings.ts";
import { isLoopback } from "./access/place.ts";
import type { AdminOptions } from "./doors/admin.ts";
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

/** The loopback address for a server that listens on all addresses. */
const LOOPBACK: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** The address at which clients on this machine reach the server. */
export function baseUrl(app: App, settings: Pick<Settings, "host" | "tlsCert">): string {
  const { port } = app.server.address() as AddressInfo;
  const host = LOOPBACK[settings.host] ?? settings.host;
  const scheme = settings.tlsCert === "" ? "http" : "https";
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The part of `Models` that is used here. */
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
  readonly settings: AdminOptions["settings"] &
    Pick<
      Settings,
      | "adminHost"
      | "adminPort"
      | "drainDelayMs"
      | "drainTimeoutMs"
      | "host"
      | "port"
      | "tlsCert"
      | "watchHubIntervalMs"
      | "watchModel"
    >;
  /**
   * Called at SIGHUP. It reads keys and certificates again and logs that. The models are then reloaded. No request is ended.
   */
  readonly onReload: () => void;
}

/** What SIGHUP does. */
export function reload({ models, onReload }: Pick<ServerParts, "models" | "onReload">): void {
  onReload();
  void models.reload();
}

/**
 * Listens at once, so that `/ping` answers while the models load. Then serves until `stopped` resolves, or an engine failed for
 * good. `onReady` is called with the address when the models are ready. A stop is announced for `drainDelayMs`. After that it
 * resolves within `drainTimeoutMs` and one second, even if something is open, loading or stuck; the end of the process ends it.
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
  if (admin !== undefined && !isLoopback(settings.adminHost)) {
    app.log.warn(
      `everybody who reaches ${settings.adminHost} reads the numbers of --admin-port ${settings.adminPort} and may order a ` +
        "reload: it asks for no key",
    );
  }
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

/** What the log says at the start: the version, and for each endpoint its model, precision, kernels and threads. */
function served({ byEndpoint }: Pick<Models, "byEndpoint">) {
  const endpoints = [...byEndpoint()].map(([endpoint, generator]) => {
    const { name: model, precision, kernels, threads } = generator?.model ?? {};
    return { endpoint, model, precision, kernels, threads };
  });
  return { version: packageVersion(), endpoints };
}

/** Announces the stop, and waits until proxies have noticed. It does not wait if an engine has failed for good. */
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

/** How often --watch-model looks at files. A change is used at the second look, when nobody writes any more. */
const LOOK_MS = 10_000;

/** Watches the models' files, and asks the hub less often. The returned function ends it. */
export function watch(
  models: Pick<Models, "look">,
  { watchHubIntervalMs }: Pick<Settings, "watchHubIntervalMs">,
): () => void {
  let sinceHubMs = 0;
  let isLooking = false;
  const look = async (): Promise<void> => {
    sinceHubMs += LOOK_MS;
    if (isLooking) return; // The last look is not over: a slow disk or hub, or a model that loads.
    isLooking = true;
    const asksHub = sinceHubMs >= watchHubIntervalMs;
    if (asksHub) sinceHubMs = 0;
    await models.look(asksHub);
    isLooking = false;
  };
  const timer = setInterval(() => void look(), LOOK_MS).unref();
  return () => clearInterval(timer);
}

/** Undefined without an admin port, because then nobody could read metrics. */
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

/** Time for the answers of cancelled requests to be sent. Then connections are cut. */
const FLUSH_MS = 500;
/** Time for engines to end after that. */
const CLOSE_MS = 250;

/**
 * Accepts nothing more and waits for open requests. After `timeoutMs` the rest is cancelled, and the callers get an error.
 * Resolves at most 750 ms later, whatever hangs. The applications are closed in order, the admin port last, so that it
 * reports the stop until the end.
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
