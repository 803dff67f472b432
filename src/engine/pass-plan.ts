// Shares out the room of one pass among the running requests. Pure arithmetic on counts; it does not know pages, tokens or the
// identity of requests.
//
// Liveness: every pass serves the first request in the order. The scheduler puts the requests served longest ago first. So a
// running request waits at most as many passes as there are other running requests. A beam search must advance with all beams
// or not at all. One that is wider than its share saves its shares up, at least one row per pass. So it waits at most as many
// further passes as it has beams.
//
// Fairness: shares are max-min fair among clients. A client that wants less than an equal share gets all it wants.
//
// Latency: clients that share a pass wait for each other's rows. So a client that wants more than the others gets no more than
// their average, unless the pass would then be less than half full: beyond that, a fuller pass hardly adds tokens per second.
// And prompts never make a shared pass longer than sequences could (the token budget of chunked prefill, as in Sarathi-Serve,
// arXiv 2403.02310). A client that is alone gets the whole pass.
import type { BackendLimits } from "../model/backend.ts";

/** What a request could use in a pass. */
export interface Demand {
  /** Sequences that get one token each, and need one row of logits each. 0 while a prompt is computed. */
  readonly rows: number;
  /** True: all of them must be in the same pass. */
  readonly together: boolean;
  /** Number of passes since it was last served. */
  readonly waited: number;
  /** Tokens of the prompt that are still to be computed: two or more, or 0 when it is done. If `rows` is 0 too, it wants nothing. */
  readonly promptTokens: number;
  /** Clients share a pass equally. The requests of a client divide its share. */
  readonly client: number;
}

/** A smaller chunk of a prompt is not worth its place in a pass. */
const PROMPT_SHARE_MIN = 16;

/** The most tokens in this pass. */
function tokensMax(demands: readonly Demand[], { maxBatchTokens, maxLogitRows }: BackendLimits): number {
  const active = demands.filter(({ rows, promptTokens }) => rows + promptTokens > 0);
  const isShared = active.some(({ client }) => client !== active[0]?.client);
  const generates = active.some(({ rows }) => rows > 0);
  if (!isShared || !generates) return maxBatchTokens;
  return Math.min(maxBatchTokens, Math.max(maxLogitRows, Math.ceil(maxBatchTokens / 4)));
}

/** The part of a pass, in tokens, that is always open to prompts. */
function promptRoom(tokens: number, { maxLogitRows }: BackendLimits): number {
  return Math.max(Math.ceil(tokens / 2), tokens - maxLogitRows);
}

/** The most rows that a request may need at once. */
export function rowsMax({ maxLogitRows, maxBatchTokens }: BackendLimits): number {
  return Math.min(maxLogitRows, maxBatchTokens);
}

/**
 * How much of each demand this pass serves: a number of rows, or of tokens of its prompt. `demands` are in the order of
 * service, those served longest ago first.
 */
export function planPass(demands: readonly Demand[], limits: BackendLimits): number[] {
  const prompts = demands.filter(({ promptTokens }) => promptTokens > 0);
  const { maxLogitRows } = limits;
  const most = tokensMax(demands, limits);
  const tokens = shareOut(prompts, tokensOf, promptRoom(most, limits), PROMPT_SHARE_MIN);
  // A prompt that ends in this pass gets its row of logits before others, so that its first new token comes at once.
  const numEnding = tokens.filter((count, i) => count === prompts[i]?.promptTokens).length;
  const rowsKept = Math.min(numEnding, Math.ceil(maxLogitRows / 4));
  const left = Math.min(maxLogitRows - rowsKept, most - sumOf(tokens));
  const served = new Map<Demand, number>();
  const due = dueBeams(demands, left);
  if (due) served.set(due, due.rows);
  const others = demands.filter((demand) => demand.rows > 0 && demand !== due);
  // The beam search that is due may need more rows than the prompts leave.
  const rows = shareOut(others, rowsOf, Math.max(left - (due?.rows ?? 0), 0), 1);
  for (const [i, demand] of others.entries()) served.set(demand, rows[i] as number);
  const numRows = sumOf([...served.values()]);
  fit(prompts, tokens, most - numRows);
  keepLastTokens(prompts, tokens, maxLogitRows - numRows);
  for (const [i, demand] of prompts.entries()) served.set(demand, tokens[i] as number);
  return demands.map((demand) => served.get(demand) ?? 0);
}

function rowsOf({ rows }: Demand): number {
  return rows;
}

function tokensOf({ promptTokens }: Demand): number {
  return promptTokens;
}

/** The beam search that is wider than its share, has saved up enough, and advances in this pass. */
function dueBeams(demands: readonly Demand[], room: number): Demand | undefined {
  const generating = demands.filter(({ rows }) => rows > 0);
  const { shares } = fairShares(generating, rowsOf, room);
  const wide = new Map<Demand, number>();
  for (const [i, demand] of generating.entries()) {
    const share = shares[i] as number;
    if (demand.together && demand.rows > share) wide.set(demand, (demand.waited + 1) * Math.max(share, 1));
  }
  const isSaving = (demand: Demand): boolean => (wide.get(demand) ?? demand.rows) < demand.rows;
  const [first, ...others] = demands.filter(
    (demand) => demand.rows + demand.promptTokens > 0 && !isSaving(demand),
  );
  if (first && wide.has(first)) return first;
  // The first request in the order must get something. So another one may not take the whole room.
  return others.find((demand) => wide.has(demand) && demand.rows < room);
}

/** Gives the rest of the room to prompts, in order. If there is too little room, takes tokens from the last prompts. */
function fit(prompts: readonly Demand[], tokens: number[], room: number): void {
  let left = room - sumOf(tokens);
  for (const [i, { promptTokens }] of prompts.entries()) {
    const more = Math.min(Math.max(left, 0), promptTokens - (tokens[i] as number));
    tokens[i] = (tokens[i] as number) + more;
    left -= more;
  }
  for (let i = prompts.length - 1; i >= 0 && left < 0; i--) {
    const less = Math.min(-left, tokens[i] as number);
    tokens[i] = (tokens[i] as number) - less;
    left += less;
  }
}

/** The last token of a prompt needs a row of logits. If no row is left, that token waits for a later pass. */
function keepLastTokens(prompts: readonly Demand[], tokens: number[], rowsLeft: number): void {
  let left = rowsLeft;
  for (const [i, { promptTokens }] of prompts.entries()) {
    if (tokens[i] !== promptTokens) continue;
    if (left > 0) left -= 1;
    else tokens[i] = promptTokens - 1;
  }
}

/**
 * Shares out the room in three rounds. First, every request that wants no more than its share gets all of it. Then the others,
 * in order, get their share, but at least `shareMin`, as long as there is room. Then the rest of the room goes out in order.
 */
function shareOut(
  demands: readonly Demand[],
  wants: (demand: Demand) => number,
  room: number,
  shareMin: number,
): number[] {
  const { shares, total } = fairShares(demands, wants, room);
  const counts = demands.map(() => 0);
  let left = total;
  const serve = (i: number, limit: number): void => {
    const demand = demands[i] as Demand;
    const wanted = wants(demand) - (counts[i] as number);
    const more = Math.min(wanted, limit, left);
    if (demand.together && more < wanted) return;
    counts[i] = (counts[i] as number) + more;
    left -= more;
  };
  const isSmall = (i: number): boolean => wants(demands[i] as Demand) <= (shares[i] as number);
  for (const i of demands.keys()) if (isSmall(i)) serve(i, total);
  for (const i of demands.keys()) if (!isSmall(i)) serve(i, Math.max(shareMin, shares[i] as number));
  for (const i of demands.keys()) serve(i, total);
  return counts;
}

/** The share of each request, and the total that may be given out, which may be less than the room (see "Latency"). */
function fairShares(
  demands: readonly Demand[],
  wants: (demand: Demand) => number,
  room: number,
): { shares: number[]; total: number } {
  const ofClient = new Map<number, number[]>();
  for (const demand of demands) {
    const own = ofClient.get(demand.client);
    if (own) own.push(wants(demand));
    else ofClient.set(demand.client, [wants(demand)]);
  }
  const wanted = [...ofClient.values()].map(sumOf);
  const level = fairLevel(wanted, room);
  const satisfied = wanted.filter((count) => count <= level);
  const numGreedy = wanted.length - satisfied.length;
  let total = room;
  let greedyShare = level;
  if (numGreedy > 0 && satisfied.length > 0) {
    const numSatisfied = sumOf(satisfied);
    const average = numSatisfied / satisfied.length;
    total = Math.min(room, Math.max(Math.ceil(room / 2), Math.ceil(average * wanted.length)));
    greedyShare = Math.min(level, Math.floor((total - numSatisfied) / numGreedy));
  }
  const shareOf = new Map<number, number>();
  for (const [client, own] of ofClient) {
    const all = sumOf(own);
    shareOf.set(client, fairLevel(own, all <= level ? all : greedyShare));
  }
  return { shares: demands.map(({ client }) => shareOf.get(client) as number), total };
}

/** The largest whole number n such that everyone can have n of the room, or all they want if that is less. */
function fairLevel(wanted: readonly number[], room: number): number {
  let left = room;
  const ascending = [...wanted].sort((a, b) => a - b);
  for (const [i, least] of ascending.entries()) {
    const share = Math.floor(left / (ascending.length - i));
    if (least > share) return share;
    left -= least;
  }
  return room;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
