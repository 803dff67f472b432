// Every number that an engine reports about itself, in one table: its name in code, its name and help text in /metrics, and
// whether it is a counter or a gauge. The types of everything that passes these numbers on are derived from this table.

/** Counted by the engine thread. They only grow, even across a restart of the thread. */
export const COUNTERS = {
  steps: { metric: "passes_total", help: "Passes of the model." },
  tokensComputed: { metric: "computed_tokens_total", help: "Rows of all passes of the model." },
  busySeconds: {
    metric: "busy_seconds_total",
    help: "Seconds spent in passes of the model; its rate is the part of the time in which the engine computes.",
  },
  tokensGenerated: { metric: "generated_tokens_total", help: "New tokens, of every sequence or beam." },
  promptTokens: { metric: "prompt_tokens_total", help: "Tokens of prompts that were read." },
  prefixTokensQueried: {
    metric: "prefix_cache_queried_tokens_total",
    help: "Prompt tokens that were looked for in the prefix cache.",
  },
  prefixTokensHit: {
    metric: "prefix_cache_hit_tokens_total",
    help: "Prompt tokens that were found in the prefix cache.",
  },
  tokensGuessed: {
    metric: "speculation_guessed_tokens_total",
    help: "Tokens that were guessed and computed.",
  },
  tokensAccepted: {
    metric: "speculation_accepted_tokens_total",
    help: "Guessed tokens that were right, each of which spared a sequence a pass.",
  },
} as const;

/** The present state of the engine thread. */
export const GAUGES = {
  pagesTotal: { metric: "kv_pages", help: "Pages of keys and values." },
  pagesInUse: { metric: "kv_pages_in_use", help: "Pages of keys and values in use." },
  pagesCached: { metric: "kv_pages_cached", help: "Idle pages that a prompt may find." },
  lastBatchRows: { metric: "batch_rows", help: "Rows of the last pass of the model." },
  tokensPerSecond: {
    metric: "tokens_per_second",
    help: "Tokens computed per second of passes, over about the last ten seconds of passes; 0: none yet.",
  },
} as const;

/** The present state of the requests, which is known outside the engine thread. */
export const REQUEST_GAUGES = {
  requestsWaiting: { metric: "requests_waiting", help: "Requests in the queue." },
  requestsRunning: { metric: "requests_running", help: "Requests being computed." },
  waitingTokens: {
    metric: "waiting_tokens",
    help: "Tokens of the requests in the queue: of their prompts, and the most new ones they may need.",
  },
  runningTokens: {
    metric: "running_tokens",
    help: "The same of the requests being computed, including what is computed already.",
  },
  waitingSeconds: {
    metric: "waiting_seconds",
    help: "Seconds of work in the queue: waiting tokens divided by tokens per second. Scale a fleet by this.",
  },
} as const;

export const REQUEST_COUNTERS = {
  restarts: { metric: "engine_restarts_total", help: "Restarts of the engine's thread." },
} as const;

export type EngineCounts = { readonly [name in keyof typeof COUNTERS]: number };
/** What the engine thread sends. */
export type ThreadStats = EngineCounts & { readonly [name in keyof typeof GAUGES]: number };
/** Everything that an engine reports. */
export type EngineStats = ThreadStats & {
  readonly [name in keyof typeof REQUEST_GAUGES | keyof typeof REQUEST_COUNTERS]: number;
};

/** The sum of the counts of two threads. */
export function addCounts(a: EngineCounts, b: EngineCounts): EngineCounts {
  const names = Object.keys(COUNTERS) as (keyof EngineCounts)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as EngineCounts;
}

/** The stats of two engines of one model taken together: counts and requests are added, the thread's gauges are `present`'s. */
export function addStats(present: EngineStats, other: EngineStats): EngineStats {
  const names = Object.keys({ ...COUNTERS, ...REQUEST_GAUGES, ...REQUEST_COUNTERS }) as (keyof EngineStats)[];
  const sums = Object.fromEntries(names.map((name) => [name, present[name] + other[name]]));
  return { ...present, ...sums };
}

export const NO_COUNTS = zeros(COUNTERS);
export const NO_STATS: ThreadStats = { ...NO_COUNTS, ...zeros(GAUGES) };
/** The stats of an engine that has had no request yet. */
export const IDLE_STATS: EngineStats = { ...NO_STATS, ...zeros(REQUEST_GAUGES), ...zeros(REQUEST_COUNTERS) };

function zeros<Table extends object>(table: Table): { readonly [name in keyof Table]: number } {
  return Object.fromEntries(Object.keys(table).map((name) => [name, 0])) as { [name in keyof Table]: number };
}
