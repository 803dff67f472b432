// Closed-loop load: each of a fixed number of clients sends its next request when the last one is answered. The caller says how a
// request is sent.
// @ts-check
import { performance } from "node:perf_hooks";

/**
 * @typedef {object} Load
 * @property {number} seconds from the first request to the last answer
 * @property {number[]} latencies milliseconds of every request, in the order of the answers
 */

/**
 * @param {object} options
 * @param {number} options.clients
 * @param {number} options.requests of all clients together
 * @param {(request: number, client: number) => Promise<unknown>} options.send rejects when the answer is not a good one
 * @returns {Promise<Load>}
 */
export async function runLoad({ clients, requests, send }) {
  /** @type {number[]} */
  const latencies = [];
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      while (next < requests) {
        const sent = performance.now();
        await send(next++, client);
        latencies.push(performance.now() - sent);
      }
    }),
  );
  return { seconds: (performance.now() - start) / 1000, latencies };
}
