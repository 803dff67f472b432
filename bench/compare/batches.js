// Speed without a server: how fast a contestant decodes rows, computes a prompt and answers the default request.
// @ts-check
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { randomFrom } from "../support/server-under-test.js";
import { JobProcess } from "./jobs.js";

/** The default request of the contract: sample-top-p with three sequences of 100 tokens, the prompt's included. */
export const DEFAULT_REQUEST = { n: 3, maxLength: 100, promptTokens: 10, topK: 50, topP: 0.92 };
/** Ids below this are tokens of every GPT-2. */
const VOCABULARY = 50_000;
const run = promisify(execFile);

/**
 * Tokens per second without a server.
 * @typedef {object} Batches
 * @property {string} version
 * @property {(rows: number, context: number, newTokens: number) => Promise<number>} decode
 * @property {(tokens: number) => Promise<number>} prefill
 * @property {() => Promise<number>} [defaultRequest] seconds
 * @property {() => Promise<void>} stop
 */

/**
 * Measures a process that answers jobs. No prompt is used twice, because some contestants cache prompts.
 * @param {import("./jobs.js").Command} command
 * @returns {Promise<Batches>}
 */
export async function jobBatches(command) {
  const jobs = await JobProcess.start(command);
  const { below } = randomFrom(1);
  /** @param {number} rows @param {number} tokens */
  const prompts = (rows, tokens) =>
    Array.from({ length: rows }, () => Array.from({ length: tokens }, () => below(VOCABULARY)));
  /** @param {number} rows @param {number} context @param {number} newTokens */
  const greedy = (rows, context, newTokens) =>
    jobs.run({ prompts: prompts(rows, context), newTokens, sample: null });
  return {
    version: jobs.version,
    async decode(rows, context, newTokens) {
      // The first token comes from the pass of the prompt. The difference is the time of the other tokens.
      const first = await greedy(rows, context, 1);
      return (rows * newTokens) / ((await greedy(rows, context, newTokens + 1)) - first);
    },
    prefill: async (tokens) => tokens / (await greedy(1, tokens, 1)),
    defaultRequest: () => {
      const { maxLength, promptTokens, ...sample } = DEFAULT_REQUEST;
      return jobs.run({ prompts: prompts(1, promptTokens), newTokens: maxLength - promptTokens, sample });
    },
    stop: () => jobs.stop(),
  };
}

/**
 * Measures with llama.cpp's own benchmark, which does not choose tokens but takes random ones.
 * @param {string} program llama-batched-bench
 * @param {string} model
 * @param {number} threads
 * @returns {Promise<Batches>}
 */
export async function llamaBatches(program, model, threads) {
  /** @param {number} prompt @param {number} generated @param {number} rows */
  const bench = async (prompt, generated, rows) => {
    const { stdout } = await run(program, [
      ...["--model", model, "--threads", String(threads), "--ctx-size", "4096", "--output-format", "jsonl"],
      ...["-npp", String(prompt), "-ntg", String(generated), "-npl", String(rows)],
    ]);
    const line = stdout.split("\n").find((each) => each.startsWith("{"));
    if (line === undefined) throw new Error("llama-batched-bench printed no result");
    return JSON.parse(line);
  };
  const { stdout, stderr } = await run(program, ["--version"]);
  const [, build = "unknown"] = /^version: (.*)$/m.exec(stdout + stderr) ?? [];
  return {
    version: `llama.cpp ${build}`,
    decode: async (rows, context, newTokens) => (await bench(context, newTokens, rows)).speed_tg,
    prefill: async (tokens) => (await bench(tokens, 1, 1)).speed_pp,
    stop: async () => {},
  };
}
