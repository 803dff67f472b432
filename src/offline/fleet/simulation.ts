// Simulates a fleet: equal servers that run passes with the measured times, and requests that come at random times. Queueing
// formulas do not apply, because a request takes longer when more others are computed with it. The simulation has no prefix
// cache and no network, and all requests are equally long.
import { uniform } from "../../decoding/random.ts";

/** The requests of the callers. */
export interface Traffic {
  readonly requestsPerSecond: number;
  readonly promptTokens: number;
  /** New tokens of each sequence. */
  readonly newTokens: number;
  readonly numSequences: number;
}

/** The times of passes. */
export interface PassTimes {
  /** Milliseconds of a pass with one row for each of `rows` sequences. */
  decodeMs(rows: number): number;
  /** Milliseconds that each token of a prompt adds. */
  readonly promptTokenMs: number;
  /** Milliseconds that the choice of a token adds, for each row that has one. */
  readonly choiceMs: number;
  /** Further milliseconds of every pass: scheduling, messages between threads. */
  readonly overheadMs: number;
}

export interface FleetOptions {
  readonly numServers: number;
  readonly passRowsMax: number;
  readonly passTokensMax: number;
  /** Length of the simulated time in which requests come. */
  readonly seconds: number;
  readonly seed: number;
}

export interface FleetResult {
  /** Milliseconds from a request's arrival to its answer. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly firstTokenP95Ms: number;
  /** Utilisation: the part of the time, until the last arrival, in which a server computes. */
  readonly busy: number;
  readonly numRequests: number;
}

interface Request {
  readonly cameMs: number;
  promptLeft: number;
  newLeft: number;
  firstTokenMs: number;
}

class Server {
  readonly queue: Request[] = [];
  readonly running: Request[] = [];
  /** When the running pass ends; undefined if none runs. */
  endMs: number | undefined;
  busyMs = 0;

  get numOpen(): number {
    return this.queue.length + this.running.length;
  }
}

/** Runs the simulation. Each request goes to the server with the fewest open requests, as a good proxy does it. */
export function simulateFleet(traffic: Traffic, times: PassTimes, options: FleetOptions): FleetResult {
  const { numServers, seconds, seed } = options;
  const servers = Array.from({ length: numServers }, () => new Server());
  const latencies: number[] = [];
  const firsts: number[] = [];
  let number = 0;
  const gap = (): number => (-1000 * Math.log(1 - uniform(seed, 0, number))) / traffic.requestsPerSecond;
  let comesMs = gap();
  const lastMs = seconds * 1000;
  for (;;) {
    const next = earliest(servers);
    if (comesMs <= lastMs && comesMs <= (next?.endMs ?? Number.POSITIVE_INFINITY)) {
      const server = servers.reduce((least, each) => (each.numOpen < least.numOpen ? each : least));
      const { promptTokens: promptLeft, newTokens: newLeft } = traffic;
      server.queue.push({ cameMs: comesMs, promptLeft, newLeft, firstTokenMs: 0 });
      if (server.endMs === undefined) beginPass(server, comesMs, traffic, times, options);
      number++;
      comesMs += gap();
    } else if (next?.endMs !== undefined) {
      const nowMs = next.endMs;
      for (const { cameMs, firstTokenMs } of endPass(next, nowMs)) {
        latencies.push(nowMs - cameMs);
        firsts.push(firstTokenMs - cameMs);
      }
      beginPass(next, nowMs, traffic, times, options);
    } else break;
  }
  const busyMs = servers.reduce((sum, { busyMs }) => sum + busyMs, 0);
  return {
    p50Ms: quantile(latencies, 0.5),
    p95Ms: quantile(latencies, 0.95),
    firstTokenP95Ms: quantile(firsts, 0.95),
    busy: Math.min(1, busyMs / (numServers * lastMs)),
    numRequests: latencies.length,
  };
}

function earliest(servers: readonly Server[]): Server | undefined {
  let first: Server | undefined;
  for (const server of servers) {
    if (server.endMs !== undefined && server.endMs < (first?.endMs ?? Number.POSITIVE_INFINITY))
      first = server;
  }
  return first;
}

/** Admits requests that fit. The pass then has a row for each sequence whose prompt is done, and fills up with prompts. */
function beginPass(
  server: Server,
  nowMs: number,
  { numSequences }: Traffic,
  times: PassTimes,
  { passRowsMax, passTokensMax, seconds }: FleetOptions,
): void {
  const { queue, running } = server;
  while (queue.length > 0 && (running.length + 1) * numSequences <= passRowsMax) {
    running.push(queue.shift() as Request);
  }
  if (running.length === 0) {
    server.endMs = undefined;
    return;
  }
  const rows = running.filter(({ promptLeft }) => promptLeft === 0).length * numSequences;
  let room = Math.max(1, passTokensMax - rows);
  let promptTokens = 0;
  let choices = rows;
  for (const request of running) {
    const taken = Math.min(request.promptLeft, room);
    // The last row of a prompt gives the first token of all its sequences.
    if (taken > 0 && taken === request.promptLeft) choices++;
    request.promptLeft -= taken;
    room -= taken;
    promptTokens += taken;
  }
  const decodeMs = rows > 0 ? times.decodeMs(rows) : 0;
  // Every pass reads all weights, so none is shorter than that of one row.
  const computeMs = Math.max(times.decodeMs(1), decodeMs + promptTokens * times.promptTokenMs);
  const ms = computeMs + choices * times.choiceMs + times.overheadMs;
  server.endMs = nowMs + ms;
  server.busyMs += Math.max(0, Math.min(server.endMs, seconds * 1000) - nowMs);
}

/** Gives each sequence whose prompt is done one more token. Returns the requests that are finished. */
function endPass({ running }: Server, nowMs: number): Request[] {
  const over: Request[] = [];
  for (const request of running) {
    if (request.promptLeft > 0) continue;
    if (request.firstTokenMs === 0) request.firstTokenMs = nowMs;
    request.newLeft -= 1;
    if (request.newLeft <= 0) over.push(request);
  }
  for (const request of over) running.splice(running.indexOf(request), 1);
  return over;
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}
