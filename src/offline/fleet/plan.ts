// Plans a fleet: from the measured times of passes to the throughput and latency of several such servers, the number of servers
// that some traffic needs, and the cost of a million tokens. Traffic and price come from the caller.
import type { Measurement } from "../measure.ts";
import { type FleetResult, type PassTimes, simulateFleet, type Traffic } from "./simulation.ts";

/**
 * Milliseconds of a pass that `bench` does not measure: scheduling, messages between threads. It is an estimate,
 * fitted to a real server on one thread. `node bench/fleet/fleet.js` compares real servers with the simulation.
 */
export const OVERHEAD_MS = 0.35;
/** The part of the time for which servers should be busy, so that waits stay short. */
export const GOOD_LOAD = 0.6;
const SERVERS_MAX = 64;
/** Enough simulated requests for a stable 95th percentile. */
const REQUESTS_MIN = 3000;
const SECONDS_MIN = 120;
const SEED = 1;
/** Above this utilisation, waits grow as long as requests come. */
const FULL = 0.98;

export interface PlanOptions {
  readonly traffic: Traffic;
  /** The 95th percentile of the latency that is wanted. */
  readonly p95Ms: number;
  readonly passRowsMax: number;
  readonly passTokensMax: number;
}

export interface FleetRow extends FleetResult {
  readonly numServers: number;
  /** Whether waits stay bounded. */
  readonly isSteady: boolean;
}

export interface Plan {
  /** New tokens of all sequences per second, of one server at full load with this traffic. */
  readonly tokensPerSecond: number;
  readonly requestsPerSecond: number;
  /** From the smallest fleet that is not overloaded to the first that meets `p95Ms`, if one does. */
  readonly fleets: readonly FleetRow[];
  /** Undefined if no number of such servers meets `p95Ms`. */
  readonly numServers: number | undefined;
}

/** What `bench` measures. */
export interface Measured {
  readonly rows: readonly Measurement[];
  readonly choiceMs: number;
}

/** The measured times at the context length nearest to the middle of an answer, interpolated linearly over rows. */
export function passTimes({ rows, choiceMs }: Measured, { promptTokens, newTokens }: Traffic): PassTimes {
  const middle = promptTokens + newTokens / 2;
  const decodes = rows.filter(({ name }) => name.startsWith("decode"));
  const distance = (context: number): number => Math.abs(context - middle);
  const context = decodes.reduce(
    (best, each) => (distance(each.context) < distance(best) ? each.context : best),
    decodes[0]?.context ?? 0,
  );
  const points = decodes.filter((each) => each.context === context).sort((a, b) => a.rows - b.rows);
  const prefill = rows.filter(({ name }) => name.startsWith("prefill")).find((each) => each.rows >= 100);
  return {
    decodeMs: (numRows) => between(points, numRows),
    promptTokenMs: prefill === undefined ? 0 : prefill.ms / prefill.rows,
    choiceMs,
    overheadMs: OVERHEAD_MS,
  };
}

function between(points: readonly Measurement[], rows: number): number {
  const after = Math.max(
    1,
    Math.min(
      points.length - 1,
      points.findIndex((each) => each.rows >= rows),
    ),
  );
  // Beyond the last point, the last line is extended.
  const at = points.some((each) => each.rows >= rows) ? after : points.length - 1;
  const [a, b] = [points[at - 1], points[at]];
  if (a === undefined || b === undefined) return points[0]?.ms ?? 0;
  return a.ms + ((rows - a.rows) * (b.ms - a.ms)) / (b.rows - a.rows);
}

/** Throughput of a server that is never idle: the best over all numbers of concurrent requests that fit into a pass. */
export function capacity(times: PassTimes, { traffic, passRowsMax }: Omit<PlanOptions, "p95Ms">): number {
  const { promptTokens, newTokens, numSequences } = traffic;
  let most = 0;
  for (let requests = 1; requests * numSequences <= passRowsMax; requests++) {
    const rows = requests * numSequences;
    const ms = newTokens * (times.decodeMs(rows) + rows * times.choiceMs + times.overheadMs);
    const each = ms / requests + promptTokens * times.promptTokenMs;
    most = Math.max(most, 1000 / each);
  }
  return most;
}

export function planFleet(times: PassTimes, options: PlanOptions): Plan {
  const { traffic, p95Ms, passRowsMax, passTokensMax } = options;
  const requestsPerSecond = capacity(times, options);
  const seconds = Math.max(SECONDS_MIN, REQUESTS_MIN / traffic.requestsPerSecond);
  const fleets: FleetRow[] = [];
  const fewest = Math.max(1, Math.ceil(traffic.requestsPerSecond / requestsPerSecond));
  for (let numServers = fewest; numServers <= Math.max(fewest, SERVERS_MAX); numServers++) {
    const simulated = { numServers, passRowsMax, passTokensMax, seconds, seed: SEED };
    const result = simulateFleet(traffic, times, simulated);
    const isSteady = result.busy < FULL;
    fleets.push({ numServers, isSteady, ...result });
    // More servers help no more when an answer takes as long as it does on an idle server.
    const before = fleets.at(-2);
    const isMet = isSteady && result.p95Ms <= p95Ms;
    const isUseless = before?.isSteady && result.p95Ms > 0.99 * before.p95Ms;
    if (isMet || isUseless) break;
  }
  const met = fleets.find((fleet) => fleet.isSteady && fleet.p95Ms <= p95Ms);
  return {
    tokensPerSecond: requestsPerSecond * traffic.numSequences * traffic.newTokens,
    requestsPerSecond,
    fleets,
    numServers: met?.numServers,
  };
}

/** Cost of a million new tokens, if a server costs `price` per hour and has the load GOOD_LOAD. */
export function costPerMillionTokens(tokensPerSecond: number, price: number): number {
  return (price * 1e6) / (tokensPerSecond * GOOD_LOAD * 3600);
}
