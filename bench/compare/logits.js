// The logits that a contestant computes of a window of token ids: from a process of its own, or from this software.
// `peers/logits.py` is the process's end in Python.
// @ts-check
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Checkpoint } from "../../dist/src/model/loading/checkpoint.js";
import { buildModel } from "../../dist/src/model/loading/load-model.js";
import { logitsOf } from "../../dist/src/offline/score.js";
import { lastWords } from "./jobs.js";

/**
 * @typedef {object} LogitsSource
 * @property {(window: readonly number[], vocabSize: number) => Promise<Float32Array>} logits [ids of the window, vocabulary]
 * @property {() => Promise<unknown>} stop
 */

/** @implements {LogitsSource} */
export class LogitsProcess {
  #child;
  #bytes;
  #lastWords;

  /** @param {import("./jobs.js").Command} command */
  constructor({ program, args, env = {} }) {
    this.#child = spawn(program, args, { env: { ...process.env, ...env }, stdio: "pipe" });
    this.#lastWords = lastWords(this.#child.stderr);
    this.#child.stdin.on("error", () => {}); // It has ended, which the next answer tells.
    this.#bytes = this.#child.stdout[Symbol.asyncIterator]();
  }

  /** @param {readonly number[]} window @param {number} vocabSize */
  async logits(window, vocabSize) {
    this.#child.stdin.write(`${JSON.stringify(window)}\n`);
    const answer = Buffer.alloc(4 * window.length * vocabSize);
    let filled = 0;
    while (filled < answer.length) {
      const { value } = await this.#bytes.next();
      if (value === undefined) throw new Error(`its process ended: ${this.#lastWords()}`);
      if (filled + value.length > answer.length) throw new Error("it gave more logits than a window has");
      filled += value.copy(answer, filled);
    }
    return new Float32Array(answer.buffer, answer.byteOffset, answer.length / 4);
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.stdin.end();
    await exited;
  }
}

/**
 * @param {string} directory
 * @param {import("../../dist/src/model/weights.js").Precision} precision
 * @param {number} threads
 * @returns {LogitsSource}
 */
export function ownLogits(directory, precision, threads) {
  const checkpoint = Checkpoint.open(directory);
  const { backend } = buildModel(checkpoint, { kvCacheMb: 16, threads, precision });
  checkpoint.close();
  return {
    async logits(window, vocabSize) {
      const all = new Float32Array(window.length * vocabSize);
      let row = 0;
      for (const { values } of logitsOf(backend, window)) all.set(values, vocabSize * row++);
      return all;
    },
    stop: () => backend.close(),
  };
}
