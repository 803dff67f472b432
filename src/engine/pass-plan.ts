// How the room of one pass is shared out among the running requests. Pure arithmetic on counts: it knows neither pages nor
// tokens, and no request by name.
//
// Liveness: in every pass, whoever stands first in the order gets something. The scheduler puts those served longest ago
// first. So a running request waits for at most as many passes as there are other running requests, whatever they are. Nearly
// always it waits for none: shares are equal, and prompts have room of their own.
import type { BackendLimits } from "../model/backend.ts";

/** What a request could use of a pass. */
export interface Demand {
  /** Sequences that go on by one token each, which needs a row of logits each; 0 while a prompt is read. */
  readonly rows: number;
  /** They must go on in the same pass. */
  readonly together: boolean;
  /** Tokens of a prompt that are not computed yet, two or more; 0 once it is read. With `rows` 0 too: nothing is wanted. */
  readonly promptTokens: number;
  /** Clients share a pass equally, and the requests of a client its share. */
  readonly client: number;
}

/** Below this a share of a prompt is not worth its place in a pass. */
const PROMPT_SHARE_MIN = 16;

/** Tokens of a pass that prompts can always have. */
function promptRoom({ maxBatchTokens, maxLogitRows }: BackendLimits): number {
  return Math.max(Math.ceil(maxBatchTokens / 4), maxBatchTokens - maxLogitRows);
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
  const others = demands.filter(({ rows }) => rows > 0);
  const { maxBatchTokens, maxLogitRows } = limits;
  const wantedTokens = ({ promptTokens }: Demand): number => promptTokens;
  const tokens = shareOut(prompts, wantedTokens, promptRoom(limits), PROMPT_SHARE_MIN);
  // A prompt that ends in this pass gets its row before others, so that its first new token comes at once.
  const numEnding = tokens.filter((count, i) => count === prompts[i]?.promptTokens).length;
  const rowsKept = Math.min(numEnding, Math.ceil(maxLogitRows / 4));
  // A wide beam search that has waited longest may need more than prompts leave.
  const [first] = demands;
  const needed = first?.together ? first.rows : 0;
  const left = Math.min(maxLogitRows - rowsKept, maxBatchTokens - sumOf(tokens));
  const rows = shareOut(others, (demand) => demand.rows, Math.max(needed, left), 1);
  const numRows = sumOf(rows);
  fit(prompts, tokens, maxBatchTokens - numRows);
  keepLastTokens(prompts, tokens, maxLogitRows - numRows);
  const served = new Map<Demand, number>();
  for (const [i, demand] of others.entries()) served.set(demand, rows[i] as number);
  for (const [i, demand] of prompts.entries()) served.set(demand, tokens[i] as number);
  return demands.map((demand) => served.get(demand) ?? 0);
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

/** Everybody an equal share, at least `shareMin`, as far as the room goes; then what is left, in order. */
function shareOut(
  demands: readonly Demand[],
  wants: (demand: Demand) => number,
  room: number,
  shareMin: number,
): number[] {
  const shares = sharesOf(demands, room);
  let left = room;
  const take = (demand: Demand, already: number, limit: number): number => {
    const most = Math.min(wants(demand) - already, limit, left);
    const count = demand.together && most < wants(demand) ? 0 : most;
    left -= count;
    return count;
  };
  const counts = demands.map((demand, i) => {
    const isWhole = i === 0 && demand.together; // The first is always served.
    return take(demand, 0, isWhole ? room : Math.max(shareMin, shares[i] as number));
  });
  return counts.map((count, i) => {
    const demand = demands[i] as Demand;
    return demand.together && count > 0 ? count : count + take(demand, count, left);
  });
}

/** The room divided by the number of clients, and for each request by the number of its client's requests. */
function sharesOf(demands: readonly Demand[], room: number): number[] {
  const numOf = new Map<number, number>();
  for (const { client } of demands) numOf.set(client, (numOf.get(client) ?? 0) + 1);
  return demands.map(({ client }) => Math.floor(room / numOf.size / (numOf.get(client) as number)));
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
