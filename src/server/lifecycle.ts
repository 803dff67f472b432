// What `serve` and `container` have in common: loading models, listening, the admin port, and the orderly stop.
import type { AddressInfo } from "node:net";
import { GptError, messageOf } from "../errors.ts";
import { type Environment, weightCacheOf } from "../files/cache-folders.ts";
import { loadGenerator } from "../generator/load-generator.ts";
import { modelName, resolveModelDirectory } from "../generator/model-directory.ts";
import { memoryLimit } from "../machine/memory.ts";
import { MemoryBudget } from "../machine/memory-budget.ts";
import type { Generator } from "../request/generation.ts";
import type { EndpointSetting, Settings } from "../settings.ts";
import type { App } from "./http/http-app.ts";
import type { Metrics } from "./http/metrics.ts";

export interface Surroundings {
  readonly env: Environment;
  /** Is told what the operator should know. */
  readonly onProblem: (message: string) => void;
  /** Is told of a model which part of its weights is read, from 0 to 1. */
  readonly onLoading?: (name: string, part: number) => void;
}

/** Models by endpoint name, each loaded once however many endpoints serve it. */
export class Models {
  readonly loading: ReadonlyMap<string, Promise<Generator>>;
  /** Resolves when an engine is beyond help. */
  readonly failed: Promise<GptError>;
  readonly #loaded = new Map<string, Generator>();

  /**
   * `surroundings.onProblem` is told of an engine that died and is restarted.
   * @throws GptError `invalid_checkpoint` when a model is nowhere to be found.
   */
  constructor(settings: Settings, endpoints: readonly EndpointSetting[], surroundings: Surroundings) {
    const { onProblem } = surroundings;
    let fail: (error: GptError) => void = () => {};
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    const onDeath = (name: string, error: GptError, isFatal: boolean): void => {
      if (isFatal)
        fail(new GptError("engine_failed", `The engine of ${name} failed twice: ${error.message}`));
      else onProblem(`The engine of ${name} failed and is restarted: ${error.message}`);
    };
    const directories = endpoints.map(({ name, model }) => ({
      name,
      directory: resolveModelDirectory(model),
    }));
    const memory = new MemoryBudget(memoryLimit());
    const byDirectory = new Map<string, Promise<Generator>>();
    this.loading = new Map(
      directories.map(({ name, directory }) => {
        const promise =
          byDirectory.get(directory) ?? load(settings, directory, memory, surroundings, onDeath);
        byDirectory.set(directory, promise);
        promise.then((generator) => this.#loaded.set(name, generator)).catch(() => {});
        return [name, promise];
      }),
    );
  }

  /** The generator of every endpoint; undefined while it is being loaded. */
  readonly all = (): ReadonlyMap<string, Generator | undefined> =>
    new Map([...this.loading.keys()].map((name) => [name, this.#loaded.get(name)]));

  /** Every loaded generator once, under the first endpoint that it serves. */
  readonly distinct = (): ReadonlyMap<string, Generator> => {
    const first = new Map([...this.#loaded].reverse().map(([name, generator]) => [generator, name]));
    return new Map([...first].map(([generator, name]) => [name, generator]));
  };

  /** @throws GptError with the first reason why one cannot be loaded. */
  async ready(): Promise<void> {
    await Promise.all(this.loading.values());
  }

  /** Cancels what is running; also waits for models that are still being loaded. */
  async close(): Promise<void> {
    const loaded = await Promise.allSettled(new Set(this.loading.values()));
    await Promise.all(loaded.map((each) => (each.status === "fulfilled" ? each.value.close() : undefined)));
  }
}

function load(
  settings: Settings,
  directory: string,
  memory: MemoryBudget,
  { env, onProblem, onLoading }: Surroundings,
  onDeath: (name: string, error: GptError, isFatal: boolean) => void,
): Promise<Generator> {
  const weightCache = weightCacheOf(settings, env);
  const { precision, kvCacheMb, prefixCache, kernels, threads, passTokensMax, passRowsMax } = settings;
  const { queueRequestsMax, queueTokensMax, requestDeadlineMs } = settings;
  const name = modelName(directory);
  return loadGenerator({
    ...{ model: directory, name, precision, kvCacheMb, kernels, prefixCache: prefixCache === "on" },
    ...{ threads, passTokensMax, passRowsMax, memory },
    ...{ queueRequestsMax, requestDeadlineMs, onProblem },
    ...(weightCache && { weightCache }),
    ...(onLoading && { onLoading: (part) => onLoading(name, part) }),
    onDeath: (error, isFatal) => onDeath(name, error, isFatal),
    ...(queueTokensMax === 0 ? {} : { queueTokensMax }),
  });
}

/** @throws GptError `cannot_listen` */
export async function listen(app: App, host: string, port: number, flag = "--port"): Promise<void> {
  try {
    await app.listen({ host, port, listenTextResolver: () => "listening" });
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
export function baseUrl(app: App, settings: Settings): string {
  const { port } = app.server.address() as AddressInfo;
  const host = LOOPBACK[settings.host] ?? settings.host;
  const scheme = settings.tlsCert === "" ? "http" : "https";
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export interface Door {
  readonly app: App;
  readonly models: Models;
  readonly metrics: Metrics | undefined;
  readonly settings: Settings;
}

/**
 * Listens first, so that `/ping` tells of the loading, and resolves when the models are ready; then serves until a
 * signal comes or an engine is beyond help. `onReady` is told the address.
 * @returns the exit code
 */
export async function run(door: Door, onReady: (baseUrl: string) => void): Promise<number> {
  const { app, models, settings } = door;
  const stopped = stopSignal();
  const admin = await adminOf(door);
  const apps = admin === undefined ? [app] : [app, admin];
  try {
    const started = Promise.all([
      models.ready(),
      listen(app, settings.host, settings.port),
      admin && listen(admin, settings.adminHost, settings.adminPort, "--admin-port"),
    ]);
    const first = await Promise.race([started.then(() => "ready" as const), stopped]);
    if (first !== "ready") {
      started.catch(() => {});
      await drain(apps, models, settings.drainTimeoutMs);
      return 0;
    }
  } catch (error) {
    await Promise.all(apps.map((each) => each.close()));
    models.close().catch(() => {});
    throw error;
  }
  onReady(baseUrl(app, settings));
  const reason = await Promise.race([stopped, models.failed]);
  await drain(apps, models, settings.drainTimeoutMs);
  if (reason === "stopped") return 0;
  throw reason;
}

/** Undefined without an admin port: nobody could read them. */
export async function metricsOf(settings: Settings, models: Models): Promise<Metrics | undefined> {
  if (settings.adminPort === 0) return undefined;
  const { Metrics } = await import("./http/metrics.ts");
  return new Metrics(models.distinct);
}

async function adminOf({ models, metrics, settings }: Door): Promise<App | undefined> {
  if (metrics === undefined) return undefined;
  const { createAdminApp } = await import("./doors/admin.ts");
  return createAdminApp({ settings, metrics, generators: models.all });
}

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once, as it does by default. */
function stopSignal(): Promise<"stopped"> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
      resolve("stopped");
    };
    process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  });
}

/** How long answers that were cancelled may take to leave. */
const FLUSH_MS = 1000;

/**
 * Accepts nothing more and waits for the open requests; those that are open after `timeoutMs` are cancelled, and their
 * callers told.
 */
export async function drain(
  apps: readonly App[],
  models: Pick<Models, "close">,
  timeoutMs: number,
): Promise<void> {
  let cut: NodeJS.Timeout | undefined;
  const cancel = setTimeout(() => {
    models.close().catch(() => {});
    cut = setTimeout(() => {
      for (const app of apps) app.connections.cut();
    }, FLUSH_MS);
  }, timeoutMs);
  await Promise.all(apps.map((app) => app.close()));
  clearTimeout(cancel);
  clearTimeout(cut);
  await models.close();
}
