import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Measurement } from "../measure.ts";
import { capacity, costPerMillionTokens, passTimes, planFleet } from "./plan.ts";
import { type FleetOptions, type PassTimes, simulateFleet, type Traffic } from "./simulation.ts";

const TRAFFIC: Traffic = { requestsPerSecond: 1, promptTokens: 10, newTokens: 5, numSequences: 2 };
const TIMES: PassTimes = { decodeMs: (rows) => 10 + rows, promptTokenMs: 2, choiceMs: 0.25, overheadMs: 1 };
const OPTIONS: FleetOptions = { numServers: 1, passRowsMax: 64, passTokensMax: 128, seconds: 2000, seed: 1 };

const near = (actual: number, expected: number, part: number): void =>
  assert.ok(Math.abs(actual - expected) <= part * expected, `${actual} is not within ${part} of ${expected}`);

describe("a simulated fleet", () => {
  it("answers a single request after the pass of its prompt and one pass for each further token", () => {
    const rare = { ...TRAFFIC, requestsPerSecond: 0.01 };
    const { p50Ms, p95Ms, firstTokenP95Ms, numRequests } = simulateFleet(rare, TIMES, {
      ...OPTIONS,
      seconds: 100_000,
    });
    // 10 · 2, one choice for both sequences, and 1; then four passes of two rows.
    near(p50Ms, 21.25 + 4 * 13.5, 1e-9);
    near(p95Ms, 21.25 + 4 * 13.5, 1e-9);
    near(firstTokenP95Ms, 21.25, 1e-9);
    near(numRequests, 1000, 0.1);
  });

  it("has the waits of queueing theory when only one request is computed at a time", () => {
    // M/D/1: on average half the waits of M/M/1. For a load of one half the 95th percentile is known exactly.
    const one = { requestsPerSecond: 50, promptTokens: 0, newTokens: 1, numSequences: 1 };
    const times = { decodeMs: () => 10, promptTokenMs: 0, choiceMs: 0, overheadMs: 0 };
    const result = simulateFleet(one, times, { ...OPTIONS, passRowsMax: 1 });
    near(result.busy, 0.5, 0.02);
    // Erlang's formula for waits of M/D/1, λ = 0.5 and one service time as the unit: P(W ≤ 1) = 0.5 · (e^0.5 + e^0 · −0.5) …
    const within = (t: number): number => {
      let sum = 0;
      for (let k = 0; k <= Math.floor(t); k++) {
        let term = Math.exp(-0.5 * (k - t));
        for (let i = 1; i <= k; i++) term *= (0.5 * (k - t)) / i;
        sum += term;
      }
      return 0.5 * sum;
    };
    // The 95th percentile of the waits.
    let [low, high] = [0, 10];
    while (high - low > 1e-6) {
      const middle = (low + high) / 2;
      if (within(middle) < 0.95) low = middle;
      else high = middle;
    }
    near(result.p95Ms, 10 * (1 + low), 0.03);
  });

  it("gives the same result for the same seed, and a similar one for another seed", () => {
    const busy = { ...TRAFFIC, requestsPerSecond: 20 };
    const [first, again, other] = [1, 1, 2].map((seed) => simulateFleet(busy, TIMES, { ...OPTIONS, seed }));
    assert.deepEqual(first, again);
    assert.notEqual(first?.p95Ms, other?.p95Ms);
    near(other?.p95Ms ?? 0, first?.p95Ms ?? 0, 0.1);
  });

  it("has shorter waits with more servers, and computes a long prompt in several passes", () => {
    const busy = { ...TRAFFIC, requestsPerSecond: 30 };
    const p95 = [1, 2, 4].map((numServers) => simulateFleet(busy, TIMES, { ...OPTIONS, numServers }).p95Ms);
    assert.ok((p95[0] ?? 0) > (p95[1] ?? 0) && (p95[1] ?? 0) > (p95[2] ?? 0), String(p95));
    const long = { ...TRAFFIC, requestsPerSecond: 0.01, promptTokens: 300 };
    near(simulateFleet(long, TIMES, { ...OPTIONS, seconds: 10_000 }).firstTokenP95Ms, 600 + 3.25, 1e-9);
  });
});

const measured = (name: string, rows: number, context: number, ms: number): Measurement => ({
  name: `${name} ${rows}`,
  rows,
  context,
  ms,
  tokensPerSecond: (rows * 1000) / ms,
  limitMs: 0,
});
const ROWS = [
  measured("decode", 1, 32, 4),
  measured("decode", 8, 32, 11),
  measured("decode", 16, 32, 27),
  measured("decode", 1, 256, 5),
  measured("decode", 8, 256, 12),
  measured("decode", 16, 256, 28),
  measured("prefill", 16, 0, 32),
  measured("prefill", 128, 0, 64),
];
const MEASURED = { rows: ROWS, choiceMs: 0.05 };

describe("a plan", () => {
  const traffic = { requestsPerSecond: 10, promptTokens: 20, newTokens: 40, numSequences: 1 };

  it("uses the measurements at the nearest context, and interpolates and extrapolates linearly", () => {
    const times = passTimes(MEASURED, traffic);
    assert.deepEqual([1, 2, 8, 12, 20].map(times.decodeMs), [4, 5, 11, 19, 35]);
    assert.equal(times.promptTokenMs, 0.5);
    const long = passTimes(MEASURED, { ...traffic, promptTokens: 400 });
    assert.deepEqual([1, 8].map(long.decodeMs), [5, 12]);
  });

  it("finds the smallest number of servers that answer in time, or says that there is none", () => {
    const times = passTimes(MEASURED, traffic);
    const options = { traffic, passRowsMax: 16, passTokensMax: 128 };
    const alone = 10 + 0.4 + 39 * (4 + 0.4);
    const plan = planFleet(times, { ...options, p95Ms: 2 * alone });
    assert.equal(plan.numServers, plan.fleets.at(-1)?.numServers);
    assert.ok((plan.fleets.at(-1)?.p95Ms ?? Infinity) <= 2 * alone);
    for (const fleet of plan.fleets.slice(0, -1)) assert.ok(!fleet.isSteady || fleet.p95Ms > 2 * alone);
    assert.equal(planFleet(times, { ...options, p95Ms: alone / 2 }).numServers, undefined);
    const twice = { ...options, traffic: { ...traffic, requestsPerSecond: 200 } };
    const large = planFleet(times, { ...twice, p95Ms: 2 * alone });
    assert.ok((large.numServers ?? 0) > 200 / plan.requestsPerSecond);
  });

  it("has the best throughput over all numbers of concurrent requests, and its price", () => {
    const times = passTimes(MEASURED, traffic);
    const eight = 1000 / ((40 * (11 + 8 * 0.05 + 0.35)) / 8 + 20 * 0.5);
    near(capacity(times, { traffic, passRowsMax: 16, passTokensMax: 128 }), eight, 1e-9);
    near(costPerMillionTokens(1000, 0.36), 0.36 / (1000 * 0.6 * 3600) / 1e-6, 1e-9);
  });
});
