// The metrics of /metrics, for Prometheus. Requests and their times are counted as they finish. The state of engines, process
// and event loop is read at each scrape.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { COUNTERS, GAUGES, REQUEST_COUNTERS, REQUEST_GAUGES } from "../../engine/counts.ts";
import { ERRORS } from "../../errors.ts";
import type { WatchedFile } from "../../files/watched-file.ts";
import type { Generator, GeneratorStats } from "../../request/generation.ts";
import type { Connections } from "./connections.ts";
import type { RequestRecord } from "./http-app.ts";

/** Bounds of the histograms' buckets in seconds, from a cached answer to the longest deadline. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120];
const TOKEN_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1];

/** Default gauges whose names end like a counter's. Other metrics have the same values, so they are left out. */
const MISNAMED = ["handles", "requests", "resources"].map((what) => `nodejs_active_${what}_total`);

/** The engine's table of counts, as far as it is used here; see `engine/counts.ts`. */
type StatTable = Readonly<Record<string, { readonly metric: string; readonly help: string }>>;

/** The loaded generators, each by the name of one endpoint that it serves. */
export type LoadedGenerators = () => ReadonlyMap<string, Pick<Generator, "stats">>;

/** What is counted about a model's reloads. */
export interface Reloads {
  /** Number of reloads by result. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Why the last reload kept the old model; undefined if it did not. */
  readonly problem: string | undefined;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter;
  readonly #seconds: Histogram;
  readonly #times: readonly { field: "firstTokenMs" | "queueMs"; histogram: Histogram }[];
  readonly #perToken: Histogram;

  constructor(generators: LoadedGenerators) {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: "gpt2_requests_total",
      help: "Requests by operation, endpoint, status code (aborted: the caller left) and, of those that failed, error.",
      labelNames: ["operation", "endpoint", "code", "error"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "gpt2_request_seconds",
      help: "Time of a generation, whatever came of it.",
      buckets: BUCKETS,
      labelNames: ["endpoint", "result"],
      registers,
    });
    const histogram = (name: string, help: string, buckets = BUCKETS): Histogram =>
      new Histogram({ name, help, buckets, labelNames: ["endpoint"], registers });
    this.#times = [
      { field: "firstTokenMs", histogram: histogram("gpt2_first_token_seconds", "Time to the first token.") },
      { field: "queueMs", histogram: histogram("gpt2_queue_seconds", "Time in the queue.") },
    ];
    this.#perToken = histogram(
      "gpt2_token_seconds",
      "Time for each new token after the first, over all sequences of a request.",
      TOKEN_BUCKETS,
    );
    const expose = (table: StatTable, grows: boolean): void => {
      for (const [field, stat] of Object.entries(table)) {
        this.#expose(field as keyof GeneratorStats, { ...stat, grows }, generators);
      }
    };
    expose({ ...REQUEST_GAUGES, ...GAUGES }, false);
    expose({ ...COUNTERS, ...REQUEST_COUNTERS }, true);
    collectDefaultMetrics({ register: this.#registry });
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name);
  }

  #expose(
    field: keyof GeneratorStats,
    { metric: name, help, grows }: { metric: string; help: string; grows: boolean },
    generators: LoadedGenerators,
  ): void {
    this.#read({ name, help, labelNames: ["endpoint"] }, grows, (set) => {
      for (const [endpoint, generator] of generators()) set({ endpoint }, generator.stats()[field]);
    });
  }

  /** Adds metrics about every endpoint's model, also while it loads. `version` is that of this software. */
  watchModels(byEndpoint: () => ReadonlyMap<string, Generator | undefined>, version: string): void {
    const ready = {
      name: "ready",
      help: "Whether an endpoint answers: 1, or 0 while its model is loaded or its engine is down.",
      labelNames: ["endpoint"],
    };
    this.#read(ready, false, (set) => {
      for (const [endpoint, generator] of byEndpoint())
        set({ endpoint }, generator?.health === "ready" ? 1 : 0);
    });
    const info = {
      name: "info",
      help: "1 for each endpoint whose model is loaded, with what computes for it. Replicas have equal fingerprints.",
      labelNames: ["endpoint", "model", "precision", "kernels", "threads", "fingerprint", "version"],
    };
    this.#read(info, false, (set) => {
      for (const [endpoint, generator] of byEndpoint()) {
        if (generator === undefined) continue;
        const { name: model, precision, kernels, threads } = generator.model;
        const { fingerprint = "" } = generator;
        set({ endpoint, model, precision, kernels, threads: String(threads), fingerprint, version }, 1);
      }
    });
  }

  /** Adds metrics about a server's connections. */
  watch(connections: Connections): void {
    const open = { name: "connections", help: "Connections that are open, of clients.", labelNames: [] };
    this.#read(open, false, (set) => set({}, connections.stats.open));
    const refused = {
      name: "connections_refused_total",
      help: "Connections without a request: one too many (full), a failed handshake, broken HTTP (malformed).",
      labelNames: ["reason"],
    };
    this.#read(refused, true, (set) => {
      for (const [reason, count] of Object.entries(connections.stats.refused)) set({ reason }, count);
    });
  }

  /** Adds metrics about files that are read again when they change. */
  watchFiles(files: readonly WatchedFile<unknown>[]): void {
    const usable = {
      name: "file_usable",
      help: "Whether a key file or certificate can be used: 1, or 0 while it is gone, unreadable or wrong.",
      labelNames: ["flag"],
    };
    this.#read(usable, false, (set) => {
      for (const file of files) {
        file.check();
        const { flag, problem } = file.state;
        set({ flag }, problem === undefined ? 1 : 0);
      }
    });
  }

  /** Adds metrics about reloads, each model by the name of one endpoint that it serves. */
  watchReloads(models: () => ReadonlyMap<string, Reloads>): void {
    const labelNames = ["endpoint"];
    const current = {
      name: "model_current",
      help: "Whether the last reload of a model brought what it should: 1, or 0 while the old one serves in its place.",
      labelNames,
    };
    this.#read(current, false, (set) => {
      for (const [endpoint, { problem }] of models()) set({ endpoint }, problem === undefined ? 1 : 0);
    });
    const reloads = {
      name: "reloads_total",
      help: "Reloads of a model by what came of them: replaced, unchanged, refused (no memory), failed.",
      labelNames: [...labelNames, "result"],
    };
    this.#read(reloads, true, (set) => {
      for (const [endpoint, { outcomes }] of models())
        for (const [result, count] of Object.entries(outcomes)) set({ endpoint, result }, count);
    });
  }

  /** Registers a metric whose values are counted elsewhere and read at each scrape. */
  #read(
    { name, help, labelNames }: { name: string; help: string; labelNames: string[] },
    grows: boolean,
    collect: (set: (labels: Record<string, string>, value: number) => void) => void,
  ): void {
    const options = {
      name: `gpt2_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect(this: Counter | Gauge) {
        this.reset();
        collect((labels, value) => this.inc(labels, value));
      },
    };
    if (grows) new Counter(options);
    else new Gauge(options);
  }

  /** Counts a finished request. */
  finished(record: RequestRecord, status: number | "aborted"): void {
    const { operation = "other", endpoint = "unknown", generatedTokens = 0 } = record;
    const error = record.errorCode ?? record.errorType;
    this.#requests.inc({
      operation,
      endpoint,
      code: String(status),
      ...(error === undefined ? {} : { error }),
    });
    if (record.totalMs !== undefined) {
      this.#seconds.observe({ endpoint, result: resultOf(record, status) }, record.totalMs / 1000);
    }
    for (const { field, histogram } of this.#times) {
      const milliseconds = record[field];
      if (milliseconds !== undefined) histogram.observe({ endpoint }, milliseconds / 1000);
    }
    const { totalMs, firstTokenMs } = record;
    if (totalMs !== undefined && firstTokenMs !== undefined && generatedTokens > 1) {
      this.#perToken.observe({ endpoint }, (totalMs - firstTokenMs) / 1000 / (generatedTokens - 1));
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** The value of the label `result` for a generation. */
function resultOf({ errorCode, errorType }: RequestRecord, status: number | "aborted"): string {
  if (status === "aborted" || errorCode === "timed_out") return String(errorCode ?? status);
  if (errorType === undefined) return "answered";
  return errorCode !== undefined && ERRORS[errorCode].kind === "caller" ? "refused" : "failed";
}
