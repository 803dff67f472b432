// @ts-check
// Measures speculative decoding: its gain for texts that repeat themselves, and its cost for others. One run alternates the engine with
// `--speculation` on and off, and compares the tokens.
// `node bench/speculation/bench.js [--model DIRECTORY|--shape gpt2] [--precision int8] [--threads 0] [--rounds 9]`. The software must
// be built. With a shape the weights are random. A frequency penalty below 0 makes the greedy text of any model run in circles.
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { EngineCore } from "../../dist/src/engine/engine-core.js";
import { threadsFor } from "../../dist/src/machine/cpus.js";
import { buildModel, loadModel } from "../../dist/src/model/loading/load-model.js";
import { randomTensors, shapeConfig } from "../../dist/src/offline/random-model.js";
import { machineLine } from "../support/machine.js";
import { median } from "../support/stats.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "models/tiny" },
    shape: { type: "string" },
    precision: { type: "string", default: "int8" },
    kernels: { type: "string", default: "auto" },
    threads: { type: "string", default: "0" },
    rounds: { type: "string", default: "9" },
  },
});
const NEW_TOKENS = 100;
const PROMPT_TOKENS = 16;
const WARM_UP_MS = 1000;

const options = {
  precision: /** @type {"int8" | "f32"} */ (values.precision),
  kernels: /** @type {"auto" | "wasm"} */ (values.kernels),
  threads: threadsFor(Number(values.threads)),
  kvCacheMb: 64,
};
const { backend, config } = values.shape
  ? buildModel(randomTensors(shapeConfig(values.shape)), options)
  : loadModel(values.model, options);

/** @typedef {import("../../dist/src/decoding/decoding-params.js").Search} Search */
/** @type {Search} */
const greedy = { kind: "greedy" };
/** @type {Search} */
const sample = { kind: "sample", temperature: 1, topK: 0, topP: 1 };

// Each request has a prompt of its own, so that the prefix cache does not help.
const prompts = Array.from({ length: 64 }, (_, i) =>
  Array.from(
    { length: PROMPT_TOKENS },
    (_, k) => (7919 * (i + 1) + 104_729 * (k + 1) * (i + 3)) % (config.vocabSize - 1),
  ),
);
const REPEAT = { frequency: -1 };
/** @type {{ name: string, rows: number, search: Search, penalties?: { frequency: number } }[]} */
const CASES = [
  { name: "repeats", rows: 1, search: greedy, penalties: REPEAT },
  { name: "repeats", rows: 3, search: greedy, penalties: REPEAT },
  { name: "repeats", rows: 16, search: greedy, penalties: REPEAT },
  { name: "greedy", rows: 1, search: greedy },
  { name: "sampled", rows: 1, search: sample },
  { name: "sampled", rows: 3, search: sample },
  { name: "sampled", rows: 16, search: sample },
];

/**
 * Runs `rows` requests at once, with the prompts in turn. Returns the tokens of each answer, and the total milliseconds.
 * @param {EngineCore} core
 * @param {(typeof CASES)[number]} one
 * @param {number} round
 */
function answer(core, { rows, search, penalties }, round) {
  const begin = performance.now();
  for (let id = 0; id < rows; id++) {
    const decoding = {
      ...{
        maxLength: PROMPT_TOKENS + NEW_TOKENS,
        numReturnSequences: 1,
        seed: round,
        noRepeatNgramSize: 0,
        search,
      },
      ending: { ignoreEos: true },
      ...(penalties && { penalties }),
    };
    const prompt = /** @type {number[]} */ (prompts[(round * rows + id) % prompts.length]);
    core.add({ id, promptTokenIds: prompt, decoding, client: id, streams: false });
  }
  /** @type {(readonly number[])[]} */
  const texts = [];
  while (!core.isIdle) {
    const start = performance.now();
    const result = core.step();
    core.stepTook(performance.now() - start, result);
    for (const { request, hypotheses } of result.finished) texts[request.id] = hypotheses[0]?.tokenIds ?? [];
  }
  return { ms: performance.now() - begin, texts };
}

console.log(machineLine());
console.log(
  `${values.shape ?? values.model}, ${options.precision}, ${options.threads} threads, ${backend.kernels}\n`,
);
console.log("text     rows  off tokens/s  on tokens/s  ratio  guessed  accepted  of all");
for (const one of CASES) {
  const cores = [false, true].map((speculation) => {
    return new EngineCore(backend, config.eosTokenIds, { prefixCache: false, speculation });
  });
  const warmUntil = performance.now() + WARM_UP_MS;
  for (let i = 0; performance.now() < warmUntil; i++) for (const core of cores) answer(core, one, i);
  const before = cores.map((core) => core.stats());
  /** @type {[number[], number[]]} */
  const times = [[], []];
  for (let round = 0; round < Number(values.rounds); round++) {
    // The two take turns to be first, because the processor's clock rate falls under load.
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    /** @type {(readonly number[])[][]} */
    const texts = [];
    for (const which of order) {
      const { ms, texts: own } = answer(/** @type {EngineCore} */ (cores[which]), one, round);
      times[which]?.push(ms);
      texts.push(own);
    }
    if (JSON.stringify(texts[0]) !== JSON.stringify(texts[1])) throw new Error("the texts differ");
  }
  const [off, on] = times.map(median);
  const now = /** @type {EngineCore} */ (cores[1]).stats();
  const was = before[1];
  const guessed = now.tokensGuessed - (was?.tokensGuessed ?? 0);
  const accepted = now.tokensAccepted - (was?.tokensAccepted ?? 0);
  const all = now.tokensGenerated - (was?.tokensGenerated ?? 0);
  const perSecond = (/** @type {number} */ ms) => ((1000 * one.rows * NEW_TOKENS) / ms).toFixed(0);
  // The median of the rounds' ratios, because a slow machine slows both halves of a round.
  const ratio = median((times[0] ?? []).map((ms, i) => ms / (times[1]?.[i] ?? ms)));
  console.log(
    [
      one.name.padEnd(8),
      String(one.rows).padStart(4),
      perSecond(off ?? 0).padStart(13),
      perSecond(on ?? 0).padStart(12),
      ratio.toFixed(2).padStart(6),
      String(guessed).padStart(8),
      String(accepted).padStart(9),
      (accepted / all).toFixed(2).padStart(7),
    ].join(" "),
  );
}
await backend.close();
