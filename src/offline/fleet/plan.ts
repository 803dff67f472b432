// From measured passes to what a fleet of such servers would do for some traffic: requests a second, waits, how many servers, what
// a million tokens cost. Prices and traffic are the caller's.
import type { Measurement } from "../measure.ts";
import { type FleetResult, type PassTimes, simulateFleet, type Traffic } from "./simulation.ts";

/**
 * Milliseconds of a pass that `bench` does not see: choosing tokens, scheduling, messages between threads. An estimate that once
 * fitted a real server on one thread; `node bench/fleet/fleet.js` compares real servers with the simulation.
 */
export const OVERHEAD_MS = 0.35;
/** Of the time: what a fleet should be loaded with, so that waits stay short. */
export const GOOD_LOAD = 0.6;
const SERVERS_MAX = 64;
/** Enough for a steady 95th percentile. */
const REQUESTS_MIN = 3000;
const SECONDS_MIN = 120;
const SEED = 1;
/** Of the time, above which waits grow for as long as requests come. */
const FULL = 0.98;

export interface PlanOptions {
  readonly traffic: Traffic;
  /** Of nineteen in twenty answers. */
  readonly p95Ms: number;
  readonly passRowsMax: number;
  readonly passTokensMax: number;
}

export interface FleetRow extends FleetResult {
  readonly numServers: number;
  /** Whether waits come to an end. */
  readonly isSteady: boolean;
}

export interface Plan {
  /** Of one server at full load, in this traffic: all new tokens, over all sequences. */
  readonly tokensPerSecond: number;
  readonly requestsPerSecond: number;
  /** From the fewest servers that are not full to the first number that meets `p95Ms`, if any does. */
  readonly fleets: readonly FleetRow[];
  /** Undefined: not with any number of such servers. */
  readonly numServers: number | undefined;
}

/** Measured times at the context that is nearest to the middle of an answer, with straight lines between them. */
export function passTimes(rows: readonly Measurement[], { promptTokens, newTokens }: Traffic): PassTimes {
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
  // Beyond the last point its line goes on.
  const at = points.some((each) => each.rows >= rows) ? after : points.length - 1;
  const [a, b] = [points[at - 1], points[at]];
  if (a === undefined || b === undefined) return points[0]?.ms ?? 0;
  return a.ms + ((rows - a.rows) * (b.ms - a.ms)) / (b.rows - a.rows);
}

/** What a server can do when it is never idle: as many requests at once as fit into a pass, or fewer where that is more. */
export function capacity(times: PassTimes, { traffic, passRowsMax }: Omit<PlanOptions, "p95Ms">): number {
  const { promptTokens, newTokens, numSequences } = traffic;
  let most = 0;
  for (let requests = 1; requests * numSequences <= passRowsMax; requests++) {
    const ms = newTokens * (times.decodeMs(requests * numSequences) + times.overheadMs);
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
    // More servers cannot make an answer shorter than it is alone.
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

/** Of a million new tokens, where a server costs `price` an hour and is loaded as it should be. */
export function costPerMillionTokens(tokensPerSecond: number, price: number): number {
  return (price * 1e6) / (tokensPerSecond * GOOD_LOAD * 3600);
}
