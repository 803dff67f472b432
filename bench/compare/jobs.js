// The protocol between the benchmark and a contestant's process: one job per line goes in, its time comes out. Both ends in
// JavaScript are here. `peers/jobs.py` is the contestant's end in Python, and describes a job.
// @ts-check
import { spawn } from "node:child_process";
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";

/**
 * @typedef {object} Job
 * @property {number[][]} prompts token ids
 * @property {number} newTokens of every sequence
 * @property {{ n: number, topK: number, topP: number } | null} sample null: greedy
 */

/** @typedef {{ program: string, args: readonly string[], env?: Readonly<Record<string, string>> }} Command */

/**
 * The last line that is not empty, short enough for a report.
 * @param {string} text
 */
export function lastLine(text) {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  return (lines.at(-1) ?? "without a word").trim().slice(0, 200);
}

/**
 * The last line that a process writes, as the reason of its failure in the report.
 * @param {import("node:stream").Readable} stream
 * @returns {() => string}
 */
export function lastWords(stream) {
  let said = "";
  stream.setEncoding("utf8").on("data", (text) => {
    said = (said + text).slice(-4000);
  });
  return () => lastLine(said);
}

/** A contestant's process. */
export class JobProcess {
  #child;
  #lines;
  #lastWords;
  /** The contestant's name and version, as it reports them. */
  version = "";

  /** @param {Command} command */
  constructor({ program, args, env = {} }) {
    this.#child = spawn(program, args, { env: { ...process.env, ...env }, stdio: "pipe" });
    this.#lastWords = lastWords(this.#child.stderr);
    this.#child.stdin.on("error", () => {}); // The process has ended. The next answer reports that.
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** @param {Command} command */
  static async start(command) {
    const started = new JobProcess(command);
    started.version = (await started.#answer()).version;
    return started;
  }

  /**
   * @param {Job} job
   * @returns {Promise<number>} seconds
   */
  async run(job) {
    this.#child.stdin.write(`${JSON.stringify(job)}\n`);
    const { seconds, tokens } = await this.#answer();
    const expected = job.prompts.length * (job.sample?.n ?? 1) * job.newTokens;
    if (tokens !== expected) throw new Error(`${expected} tokens were to be made, and ${tokens} came`);
    return seconds;
  }

  async #answer() {
    const { value } = await this.#lines.next();
    if (value !== undefined) return JSON.parse(value);
    throw new Error(`its process ended: ${this.#lastWords()}`);
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.stdin.end();
    await exited;
  }
}

/**
 * The contestant's end in JavaScript: answers jobs until there are no more.
 * @param {string} version
 * @param {(job: Job) => Promise<number>} generate returns the number of new tokens of all sequences
 */
export async function answerJobs(version, generate) {
  console.log(JSON.stringify({ version }));
  for await (const line of createInterface({ input: process.stdin })) {
    const start = performance.now();
    const tokens = await generate(JSON.parse(line));
    console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, tokens }));
  }
}
