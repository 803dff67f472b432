// Honest clients: each has its own key and connection, sends one request after the other, and reads and checks every answer. Their
// latency is what the suite measures.
// @ts-check
import { once } from "node:events";
import * as http from "node:http";
import * as https from "node:https";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { ENDPOINT } from "./target.js";

/** The requests of an honest client, in turn. Each is answered within a second or two on any machine. */
const REQUESTS = [
  { input: "The sea was", mode: "sample", max_length: 40, num_return_sequences: 3, seed: 1 },
  { input: "A function that", mode: "greedy", max_length: 32, num_return_sequences: 1 },
  { input: "The old man looked at", mode: "beam", max_length: 24, num_beams: 3, num_return_sequences: 1 },
  { input: "Once upon a time", mode: "sample-top-p", max_length: 40, num_return_sequences: 2, seed: 3 },
];

/** Longer than the deadline of a request in the server. */
const ANSWER_TIMEOUT_MS = 60_000;

/**
 * @typedef {object} Tally
 * @property {number[]} waits milliseconds of every answered request
 * @property {number} sent
 * @property {number} answered with 200 and the right number of texts that begin with the input
 * @property {Record<string, number>} wrong what else came, by kind
 */

/** @typedef {{ key: { accessKeyId: string, secretAccessKey: string }, agent: http.Agent }} Caller */

/**
 * A key and one connection, which is kept from request to request.
 * @param {boolean} isTls
 * @param {{ accessKeyId: string, secretAccessKey: string }} key
 * @returns {Caller}
 */
export function callerOf(isTls, key) {
  const { Agent } = isTls ? https : http;
  return { key, agent: new Agent({ keepAlive: true, maxSockets: 1 }) };
}

/** @returns {Tally} */
export const emptyTally = () => ({ waits: [], sent: 0, answered: 0, wrong: {} });

/**
 * Runs until `signal` is aborted, and then waits for the open request.
 * @param {import("./target.js").Target} target
 * @param {Caller} caller
 * @param {number} start where in the list of requests it begins
 * @param {AbortSignal} signal
 * @param {Tally} tally
 */
export async function honestClient(target, { key, agent }, start, signal, tally) {
  /** @type {Map<number, string>} */
  const first = new Map();
  for (let i = start; !signal.aborted; i++) {
    const number = i % REQUESTS.length;
    const asked = /** @type {(typeof REQUESTS)[number]} */ (REQUESTS[number]);
    const began = performance.now();
    tally.sent++;
    const outcome = await ask(target, key, asked, agent).catch((error) => `broken: ${error.code ?? error}`);
    if (typeof outcome === "string") {
      tally.wrong[outcome] = (tally.wrong[outcome] ?? 0) + 1;
      await pause(100);
      continue;
    }
    // The same request with the same seed must have the same answer, whatever else runs.
    const text = JSON.stringify(outcome);
    if (first.has(number) && first.get(number) !== text) {
      tally.wrong["another text"] = (tally.wrong["another text"] ?? 0) + 1;
      continue;
    }
    first.set(number, text);
    tally.answered++;
    tally.waits.push(performance.now() - began);
  }
}

/**
 * @param {import("./target.js").Target} target
 * @param {{ accessKeyId: string, secretAccessKey: string }} key
 * @param {{ input: string, num_return_sequences: number }} asked
 * @param {http.Agent} agent
 * @returns {Promise<string | string[]>} the texts, or what was wrong
 */
async function ask(target, key, asked, agent) {
  const body = JSON.stringify(asked);
  const path = `/endpoints/${ENDPOINT}/invocations`;
  const sent = (target.isTls ? https : http).request({
    host: "127.0.0.1",
    port: target.port,
    path,
    method: "POST",
    headers: target.sign(path, body, key),
    rejectUnauthorized: false, // The certificate is one of the tests' own.
    agent,
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  sent.end(body);
  const [response] = await once(sent, "response");
  /** @type {Buffer[]} */
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  const answer = Buffer.concat(chunks).toString();
  if (response.statusCode !== 200) return `${response.statusCode} ${answer.slice(0, 120)}`;
  /** @type {string[]} */
  const texts = JSON.parse(answer);
  const isWhole =
    texts.length === asked.num_return_sequences && texts.every((text) => text.startsWith(asked.input));
  return isWhole ? texts : "not the texts that were asked for";
}
