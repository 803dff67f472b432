// The models of all endpoints. Each is found and loaded once, even if several endpoints serve it, and reloaded on demand or
// when its files change. Reloads run one after the other, so that at most one additional model needs memory.
import { GptError, messageOf } from "../errors.ts";
import { type Environment, weightCacheOf } from "../files/cache-folders.ts";
import type { FoundModel } from "../generator/find-model.ts";
import {
  checkLoadable,
  type GeneratorOptions,
  loadGenerator,
  memoryNeedOf,
} from "../generator/load-generator.ts";
import { placeKey } from "../generator/model-directory.ts";
import { memoryLimit } from "../machine/memory.ts";
import { MemoryBudget } from "../machine/memory-budget.ts";
import type { Generator } from "../request/generation.ts";
import type { EndpointSetting, Settings } from "../settings.ts";
import { LiveModel, type OnDeath, type ReloadOutcome, stopped } from "./live-model.ts";
import { type FindModel, ModelSearch } from "./model-search.ts";
import { Turns } from "./turns.ts";

export interface ModelsOptions {
  readonly env: Environment;
  readonly findModel: FindModel;
  /** Called with problems for the operator. */
  readonly onProblem: (message: string) => void;
  /** Called with the part of a model's weights that is read, from 0 to 1. */
  readonly onLoading?: (name: string, part: number) => void;
  /** Called with the result of a reload that succeeded. */
  readonly onReloaded?: (message: string) => void;
  /** Default: all memory that this process may use. */
  readonly memory?: MemoryBudget;
}

interface Served {
  readonly live: LiveModel;
  readonly endpoints: string[];
  /** Resolves when the first checkpoint is loaded. */
  readonly started: Promise<Generator>;
  /** A reload that has not begun. It can serve further callers, because it will read the files as they are then. */
  waiting: Promise<ReloadOutcome> | undefined;
}

/** The result of one model's reload. */
export interface EndpointsReload extends ReloadOutcome {
  readonly endpoints: readonly string[];
}

/** What decides how models are loaded, run and replaced. */
export type ModelsSettings = Pick<
  Settings,
  | "engineStallTimeoutMs"
  | "kernels"
  | "kvCacheMb"
  | "passRowsMax"
  | "passTokensMax"
  | "precision"
  | "prefixCache"
  | "queueRequestsMax"
  | "queueTokensMax"
  | "reloadInPlace"
  | "reloadLingerMs"
  | "requestDeadlineMs"
  | "speculation"
  | "threads"
  | "weightCacheMb"
>;

export class Models {
  /** Resolves when the engine of a serving model has failed for good. */
  readonly fatalError: Promise<GptError>;
  readonly #options: ModelsOptions;
  readonly #settings: ModelsSettings;
  readonly #search: ModelSearch;
  readonly #memory: MemoryBudget;
  readonly #weightCache: GeneratorOptions["weightCache"];
  readonly #served: readonly Served[];
  readonly #modelOf: ReadonlyMap<string, Served>;
  readonly #turns = new Turns();
  /** The last problem that was reported for each model that cannot be watched. */
  readonly #reported = new Map<LiveModel, string>();
  readonly #stop = new AbortController();
  readonly #stopped: Promise<never>;
  #fail: (error: GptError) => void = () => {};

  /** @throws GptError `invalid_checkpoint` when a model can be neither a directory nor one of a hub. */
  constructor(settings: ModelsSettings, endpoints: readonly EndpointSetting[], options: ModelsOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#memory = options.memory ?? new MemoryBudget(memoryLimit());
    this.#weightCache = weightCacheOf(settings, options.env, options.onProblem);
    this.fatalError = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#stopped = new Promise((_resolve, reject) => {
      this.#stop.signal.addEventListener("abort", () => reject(stopped()));
    });
    this.#stopped.catch(() => {});
    this.#search = new ModelSearch(
      endpoints.map(({ model }) => model),
      options.findModel,
    );
    const byPlace = new Map<string, Served>();
    for (const { name, model } of endpoints) {
      const key = placeKey(model);
      const served = byPlace.get(key) ?? this.#serve(model);
      served.endpoints.push(name);
      byPlace.set(key, served);
    }
    this.#served = [...byPlace.values()];
    this.#modelOf = new Map(
      endpoints.map(({ name, model }) => [name, byPlace.get(placeKey(model)) as Served]),
    );
  }

  /** The models by endpoint, for the doors. */
  get sources(): ReadonlyMap<string, LiveModel> {
    return new Map([...this.#modelOf].map(([name, { live }]) => [name, live]));
  }

  /** What is being done for an endpoint whose model cannot answer yet. */
  readonly stateOf = (endpoint: string): string => {
    const live = this.#modelOf.get(endpoint)?.live;
    return live?.reloadNote ?? this.#search.stateOf(live?.model ?? "");
  };

  /** The generator for new requests of every endpoint; undefined while there is none. */
  readonly byEndpoint = (): ReadonlyMap<string, Generator | undefined> =>
    new Map([...this.#modelOf].map(([name, { live }]) => [name, live.present]));

  /** Every model once, by the first endpoint that it serves. */
  readonly byFirstEndpoint = (): ReadonlyMap<string, LiveModel> =>
    new Map(this.#served.map(({ endpoints, live }) => [endpoints[0] ?? "", live]));

  /** The same, without models that are not loaded. */
  readonly loadedOnce = (): ReadonlyMap<string, LiveModel> =>
    new Map([...this.byFirstEndpoint()].filter(([, { present }]) => present !== undefined));

  /** Resolves when all models are loaded. @throws GptError when one cannot be loaded */
  async ready(): Promise<void> {
    await Promise.all(this.#served.map(({ started }) => started));
  }

  /**
   * Reloads the model of an endpoint, or all models, from what their names lead to now. A model whose files have not changed
   * stays. Calls during a reload share one further reload, which begins after it.
   */
  async reload(endpoint?: string): Promise<readonly EndpointsReload[]> {
    const wanted = endpoint === undefined ? this.#served : [this.#modelOf.get(endpoint)];
    const some = wanted.filter((each) => each !== undefined);
    return Promise.all(
      some.map(async (served) => ({ endpoints: served.endpoints, ...(await this.#reload(served)) })),
    );
  }

  /** Reloads the models whose files, or whose commit on the hub, have changed. It never rejects. */
  async look(asksHub: boolean): Promise<void> {
    for (const served of this.#served) {
      const { live } = served;
      if (live.present === undefined && live.problem === undefined) continue; // Its first checkpoint still loads.
      try {
        if (await live.isOutdated(asksHub ? "newest" : "here")) await this.#reload(served);
        this.#reported.delete(live);
      } catch (error) {
        this.#reportOnce(live, `--watch-model cannot look at ${live.model}: ${messageOf(error)}`);
      }
    }
  }

  /** Gives up all running and waiting reloads at once. */
  stopReloads(): void {
    this.#stop.abort();
  }

  /** Cancels requests and downloads. Models that still load are closed later, without waiting for them. */
  async close(): Promise<void> {
    this.stopReloads();
    const searched = this.#search.close();
    await Promise.all([searched, ...this.#served.map(({ live }) => live.close())]);
  }

  #reportOnce(live: LiveModel, message: string): void {
    if (this.#reported.get(live) === message || this.#stop.signal.aborted) return;
    this.#reported.set(live, message);
    this.#options.onProblem(message);
  }

  #reload(served: Served): Promise<ReloadOutcome> {
    served.waiting ??= this.#turns.next(async () => {
      served.waiting = undefined;
      const { live, started } = served;
      const { model } = live;
      const outcome = started.then(() => (this.#stop.signal.aborted ? this.#stopped : live.reload()));
      const result = await Promise.race([outcome, this.#stopped]).catch(
        (error: unknown): ReloadOutcome => ({
          model,
          result: "failed",
          message: `${model}: ${messageOf(error)}`,
        }),
      );
      const isWell = result.result === "replaced" || result.result === "unchanged";
      if (isWell) this.#options.onReloaded?.(`reload: ${result.message}`);
      else if (!this.#stop.signal.aborted)
        this.#options.onProblem(`reload ${result.result}: ${result.message}`);
      return result;
    });
    return served.waiting;
  }

  #serve(model: string): Served {
    const live = new LiveModel({
      model,
      find: (freshness) => this.#search.again(model, freshness),
      load: (found, onDeath, signal) => loadGenerator({ ...this.#optionsFor(found, onDeath), signal }),
      check: ({ directory }) => checkLoadable(directory),
      refusal: (found) => this.#memory.refusalBeside(memoryNeedOf(this.#optionsFor(found))),
      isInPlace: this.#settings.reloadInPlace,
      lingerMs: this.#settings.reloadLingerMs,
      onDeath: (name, error, isFatal) => this.#onDeath(name, error, isFatal),
    });
    const started = this.#search.of(model).then((found) => live.start(found));
    started.catch(() => {});
    return { live, endpoints: [], started, waiting: undefined };
  }

  #onDeath(name: string, { message }: GptError, isFatal: boolean): void {
    if (isFatal) this.#fail(new GptError("engine_failed", `The engine of ${name} failed twice: ${message}`));
    else this.#options.onProblem(`The engine of ${name} failed and is restarted: ${message}`);
  }

  #optionsFor({ directory, name, origin }: FoundModel, onDeath: OnDeath = () => {}): GeneratorOptions {
    const { onProblem, onLoading } = this.#options;
    const settings = this.#settings;
    const weightCache = this.#weightCache;
    const { precision, kvCacheMb, prefixCache, speculation, kernels, threads } = settings;
    const { passTokensMax, passRowsMax, queueRequestsMax, queueTokensMax } = settings;
    const { requestDeadlineMs, engineStallTimeoutMs } = settings;
    return {
      model: directory,
      name,
      precision,
      kvCacheMb,
      kernels,
      prefixCache: prefixCache === "on",
      speculation: speculation === "on",
      threads,
      passTokensMax,
      passRowsMax,
      memory: this.#memory,
      queueRequestsMax,
      requestDeadlineMs,
      stallTimeoutMs: engineStallTimeoutMs,
      onProblem,
      onDeath,
      ...(origin && { origin }),
      ...(weightCache && { weightCache }),
      ...(onLoading && { onLoading: (part) => onLoading(name, part) }),
      ...(queueTokensMax === 0 ? {} : { queueTokensMax }),
    };
  }
}
