// How far a contestant's logits are from those of another on the held-out texts: KL divergence, agreement and perplexity, as
// `npm run bench:quality` has them for this software alone.
// @ts-check
import { basename } from "node:path";
import { AgreementMeter } from "../../dist/bench/quality/agreement.js";
import { Checkpoint } from "../../dist/src/model/loading/checkpoint.js";
import { loadTokenizer } from "../../dist/src/tokenizer/tokenizer-files.js";
import { HELD_OUT, spread, windowsOf } from "../quality/windows.js";
import { TINY } from "./install.js";

/**
 * @typedef {object} Found
 * @property {number} kl mean KL(reference || contestant), in nats
 * @property {number} top1 share of positions with the same most probable token
 * @property {number} perplexityChange of the text, as a share
 *
 * @typedef {Record<string, Found>} Quality by the name of the text
 */

/** A row of logits from anywhere, in ordinary double precision. */
class Row {
  /** @param {Float32Array} values */
  constructor(values) {
    this.values = values;
  }

  argmax() {
    return this.values.indexOf(this.#largest());
  }

  logSumExp() {
    const largest = this.#largest();
    let sum = 0;
    for (let i = 0; i < this.values.length; i++)
      sum += Math.exp(/** @type {number} */ (this.values[i]) - largest);
    return largest + Math.log(sum);
  }

  #largest() {
    let largest = -Infinity;
    for (let i = 0; i < this.values.length; i++) {
      largest = Math.max(largest, /** @type {number} */ (this.values[i]));
    }
    return largest;
  }
}

/**
 * @param {import("./logits.js").LogitsSource} reference
 * @param {import("./logits.js").LogitsSource} contestant
 * @param {number} numWindows of each text
 * @returns {Promise<Quality>}
 */
export async function measureQuality(reference, contestant, numWindows) {
  const checkpoint = Checkpoint.open(TINY);
  const { contextLength, vocabSize } = checkpoint.config;
  checkpoint.close();
  const tokenizer = await loadTokenizer(TINY);
  /** @type {Quality} */
  const quality = {};
  const rowOf = (/** @type {Float32Array} */ logits, /** @type {number} */ i) =>
    new Row(logits.subarray(i * vocabSize, (i + 1) * vocabSize));
  for (const text of HELD_OUT) {
    const meter = new AgreementMeter();
    for (const window of spread(windowsOf(text, contextLength, tokenizer), numWindows)) {
      const [expected, found] = await Promise.all([
        reference.logits(window, vocabSize),
        contestant.logits(window, vocabSize),
      ]);
      for (const i of window.keys()) meter.add(rowOf(expected, i), rowOf(found, i), window[i + 1]);
    }
    const { kl, top1, perplexity, referencePerplexity } = meter.result();
    quality[basename(text, ".txt")] = { kl, top1, perplexityChange: perplexity / referencePerplexity - 1 };
  }
  return quality;
}
