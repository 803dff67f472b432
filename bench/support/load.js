// Load from a fixed number of clients, each of which sends its next request when its last one was answered. How a
// request is sent, and over what, is the caller's business.
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
