// Every number that an engine tells of itself, in one table: its name in code, its name and help in /metrics, and whether it
// only grows. The types of all that passes these numbers on derive from it.

/** Counted by the engine thread; they only grow, also over a restart of the thread. */
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

/** What the engine thread is at. */
export const GAUGES = {
  pagesTotal: { metric: "kv_pages", help: "Pages of keys and values." },
  pagesInUse: { metric: "kv_pages_in_use", help: "Pages of keys and values in use." },
  pagesCached: { metric: "kv_pages_cached", help: "Idle pages that a prompt may find." },
  lastBatchRows: { metric: "batch_rows", help: "Rows of the last pass of the model." },
  tokensPerSecond: {
    metric: "tokens_per_second",
    help: "Tokens that a second of passes computed, over the last ten seconds of passes or so; 0: none yet.",
  },
} as const;

/** What is known outside the thread. */
export const REQUEST_GAUGES = {
  requestsWaiting: { metric: "requests_waiting", help: "Requests in the queue." },
  requestsRunning: { metric: "requests_running", help: "Requests being computed." },
  waitingTokens: {
    metric: "waiting_tokens",
    help: "Tokens, of prompts and the most that may come, of the requests in the queue.",
  },
  runningTokens: {
    metric: "running_tokens",
    help: "The same of the requests being computed, with what is computed already.",
  },
  waitingSeconds: {
    metric: "waiting_seconds",
    help: "Seconds of work in the queue: tokens that wait over tokens a second. What a fleet should grow by.",
  },
} as const;

export const REQUEST_COUNTERS = {
  restarts: { metric: "engine_restarts_total", help: "Restarts of the engine's thread." },
} as const;

export type EngineCounts = { readonly [name in keyof typeof COUNTERS]: number };
/** What the engine thread posts. */
export type ThreadStats = EngineCounts & { readonly [name in keyof typeof GAUGES]: number };
/** What an engine tells in all. */
export type EngineStats = ThreadStats & {
  readonly [name in keyof typeof REQUEST_GAUGES | keyof typeof REQUEST_COUNTERS]: number;
};

/** The sum of two threads' counts. */
export function addCounts(a: EngineCounts, b: EngineCounts): EngineCounts {
  const names = Object.keys(COUNTERS) as (keyof EngineCounts)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as EngineCounts;
}

/** Two engines of one model as one: counts and requests are added, what a thread is at is that of `present`. */
export function addStats(present: EngineStats, other: EngineStats): EngineStats {
  const names = Object.keys({ ...COUNTERS, ...REQUEST_GAUGES, ...REQUEST_COUNTERS }) as (keyof EngineStats)[];
  const sums = Object.fromEntries(names.map((name) => [name, present[name] + other[name]]));
  return { ...present, ...sums };
}

export const NO_COUNTS = zeros(COUNTERS);
export const NO_STATS: ThreadStats = { ...NO_COUNTS, ...zeros(GAUGES) };
/** Of an engine that was asked nothing yet. */
export const IDLE_STATS: EngineStats = { ...NO_STATS, ...zeros(REQUEST_GAUGES), ...zeros(REQUEST_COUNTERS) };

function zeros<Table extends object>(table: Table): { readonly [name in keyof Table]: number } {
  return Object.fromEntries(Object.keys(table).map((name) => [name, 0])) as { [name in keyof Table]: number };
}
