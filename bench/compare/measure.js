// Measures a contestant in one round, without a server and over HTTP. The figure of a round is the median of its repeats.
// Slow contestants are repeated less often.
// @ts-check
import { performance } from "node:perf_hooks";
import { runLoad } from "../support/load.js";
import { median } from "../support/stats.js";

/**
 * @typedef {object} Plan
 * @property {number[]} rows
 * @property {number} context
 * @property {number} newTokens
 * @property {number[]} prompts
 * @property {number} repeats
 * @property {{ clients: number, requests: number }[]} loads
 * @property {number} windows of each held-out text, for the quality
 */

/** @type {Plan} */
export const FULL = {
  rows: [1, 3, 16, 48],
  context: 16,
  newTokens: 64,
  prompts: [128, 900],
  repeats: 3,
  loads: [
    { clients: 1, requests: 2 },
    { clients: 4, requests: 8 },
    { clients: 16, requests: 16 },
  ],
  windows: 24,
};

/** @type {Plan} */
export const QUICK = {
  rows: [1, 3, 16],
  context: 16,
  newTokens: 32,
  prompts: [128],
  repeats: 1,
  loads: [
    { clients: 1, requests: 2 },
    { clients: 16, requests: 16 },
  ],
  windows: 4,
};

/** After this time a measurement is not repeated again. */
const ENOUGH_SECONDS = 3;

/** @param {number} repeats @param {() => Promise<number>} measure */
async function repeated(repeats, measure) {
  const start = performance.now();
  const figures = [];
  do figures.push(await measure());
  while (figures.length < repeats && performance.now() - start < ENOUGH_SECONDS * 1000);
  return median(figures);
}

/**
 * Tokens per second, and the seconds of a default request, by what was measured.
 * @param {import("./batches.js").Batches} batches
 * @param {Plan} plan
 * @returns {Promise<Record<string, number>>}
 */
export async function measureBatches(batches, plan) {
  const { rows, context, newTokens, prompts, repeats } = plan;
  await batches.decode(1, context, 8); // Warms up.
  /** @type {Record<string, number>} */
  const figures = {};
  for (const count of rows) {
    figures[`decode ${count}`] = await repeated(repeats, () => batches.decode(count, context, newTokens));
  }
  for (const count of prompts) {
    figures[`prefill ${count}`] = await repeated(repeats, () => batches.prefill(count));
  }
  const { defaultRequest } = batches;
  if (defaultRequest) figures["default request s"] = await repeated(repeats, defaultRequest);
  return figures;
}

/**
 * Default requests from several clients at a time.
 * @param {import("./contestants.js").Server} server
 * @param {Plan} plan
 * @returns {Promise<Record<string, import("../support/load.js").Load>>} by the number of clients
 */
export async function measureServer(server, plan) {
  let number = 0;
  // Ten tokens of GPT-2's, for any number below a thousand.
  const send = () => server.send(`Chapter ${++number % 1000}: the storm came over the hills.`);
  await send(); // Warms up.
  /** @type {Record<string, import("../support/load.js").Load>} */
  const loads = {};
  for (const { clients, requests } of plan.loads) {
    loads[`${clients} clients`] = await runLoad({ clients, requests, send });
  }
  return loads;
}
