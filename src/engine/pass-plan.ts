// How the room of one pass is shared out among the running requests. Pure arithmetic on counts: it knows neither pages nor
// tokens, and no request by name.
//
// Liveness: in every pass, whoever stands first in the order gets something. The scheduler puts those served longest ago
// first. So a running request waits for at most as many passes as there are other running requests, whatever they are. A beam
// search goes on whole or not at all: where it is wider than its share it saves its shares up, at least one row a pass, so it
// waits for as many passes more as it has beams at most.
//
// Fairness: shares are max-min fair among clients. Who wants less than an equal share has what it wants.
//
// Latency: clients who share the passes wait for each other's rows. So those who want more than the others have no more than
// these on average, unless the pass would be less than half full: from there on a fuller pass gives hardly more tokens a
// second. And prompts make a pass no longer than sequences could (the token budget of chunked prefill, as in Sarathi-Serve,
// arXiv 2403.02310). A client by itself waits for nobody but itself, and has the whole pass.
import type { BackendLimits } from "../model/backend.ts";

/** What a request could use of a pass. */
export interface Demand {
  /** Sequences that go on by one token each, which needs a row of logits each; 0 while a prompt is read. */
  readonly rows: number;
  /** They must go on in the same pass. */
  readonly together: boolean;
  /** Passes since it was served last. */
  readonly waited: number;
  /** Tokens of a prompt that are not computed yet, two or more; 0 once it is read. With `rows` 0 too: nothing is wanted. */
  readonly promptTokens: number;
  /** Clients share a pass equally, and the requests of a client its share. */
  readonly client: number;
}

/** Below this a share of a prompt is not worth its place in a pass. */
const PROMPT_SHARE_MIN = 16;

/** Tokens that this pass may have. */
function tokensMax(demands: readonly Demand[], { maxBatchTokens, maxLogitRows }: BackendLimits): number {
  const active = demands.filter(({ rows, promptTokens }) => rows + promptTokens > 0);
  const isShared = active.some(({ client }) => client !== active[0]?.client);
  const generates = active.some(({ rows }) => rows > 0);
  if (!isShared || !generates) return maxBatchTokens;
  return Math.min(maxBatchTokens, Math.max(maxLogitRows, Math.ceil(maxBatchTokens / 4)));
}

/** Tokens of a pass that prompts can always have. */
function promptRoom(tokens: number, { maxLogitRows }: BackendLimits): number {
  return Math.max(Math.ceil(tokens / 2), tokens - maxLogitRows);
}

/** The most rows that a request may need at once. */
export function rowsMax({ maxLogitRows, maxBatchTokens }: BackendLimits): number {
  return Math.min(maxLogitRows, maxBatchTokens);
}

/**
 * For each demand, how much of it this pass serves: rows, or tokens of its prompt. `demands` are in order of service, those
 * served longest ago first.
 */
export function planPass(demands: readonly Demand[], limits: BackendLimits): number[] {
  const prompts = demands.filter(({ promptTokens }) => promptTokens > 0);
  const { maxLogitRows } = limits;
  const most = tokensMax(demands, limits);
  const tokens = shareOut(prompts, tokensOf, promptRoom(most, limits), PROMPT_SHARE_MIN);
  // A prompt that ends in this pass gets its row before others, so that its first new token comes at once.
  const numEnding = tokens.filter((count, i) => count === prompts[i]?.promptTokens).length;
  const rowsKept = Math.min(numEnding, Math.ceil(maxLogitRows / 4));
  const left = Math.min(maxLogitRows - rowsKept, most - sumOf(tokens));
  const served = new Map<Demand, number>();
  const due = dueBeams(demands, left);
  if (due) served.set(due, due.rows);
  const others = demands.filter((demand) => demand.rows > 0 && demand !== due);
  // What is due may need more than prompts leave.
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

/** The beam search, wider than its share, that has saved up what it needs and goes on in this pass. */
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
  // The first in order always gets something, so another one takes no room that the first may need.
  return others.find((demand) => wide.has(demand) && demand.rows < room);
}

/** Gives prompts, in order, what is left of the room; or takes from the last ones what there is not. */
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

/** The last token of a prompt needs a row of logits. Where none is left, it waits for a pass that has one. */
function keepLastTokens(prompts: readonly Demand[], tokens: number[], rowsLeft: number): void {
  let left = rowsLeft;
  for (const [i, { promptTokens }] of prompts.entries()) {
    if (tokens[i] !== promptTokens) continue;
    if (left > 0) left -= 1;
    else tokens[i] = promptTokens - 1;
  }
}

/**
 * Who wants no more than its share gets what it wants; then everybody else in order its share, at least `shareMin`, as far as
 * the room goes; then what is left, in order.
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

/** For each request its share of the room, and how much of the room is given out. */
function fairShares(
  demands: readonly Demand[],
  wants: (demand: Demand) => number,
  room: number,
): { shares: number[]; total: number } {
  const ofClient = new Map<number, number[]>();
  for (const demand of demands) {
    ofClient.set(demand.client, [...(ofClient.get(demand.client) ?? []), wants(demand)]);
  }
  const wanted = [...ofClient.values()].map(sumOf);
  const level = fairLevel(wanted, room);
  const satisfied = wanted.filter((count) => count <= level);
  const numGreedy = wanted.length - satisfied.length;
  if (numGreedy === 0 || satisfied.length === 0) {
    return {
      shares: demands.map(({ client }) => fairLevel(ofClient.get(client) as number[], level)),
      total: room,
    };
  }
  const numSatisfied = sumOf(satisfied);
  const average = numSatisfied / satisfied.length;
  const total = Math.min(room, Math.max(Math.ceil(room / 2), Math.ceil(average * wanted.length)));
  const greedyShare = Math.min(level, Math.floor((total - numSatisfied) / numGreedy));
  const shares = demands.map(({ client }) => {
    const own = ofClient.get(client) as number[];
    return fairLevel(own, sumOf(own) <= level ? sumOf(own) : greedyShare);
  });
  return { shares, total };
}

/** The largest whole number such that all can have as much of the room, or what they want if that is less. */
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
