// Entry point of an engine thread whose model costs nothing. The engine is the real one, but every row of logits is the same
// constant row. It leaves two tokens to choose from, and no text ends early.
// @ts-check
import { parentPort } from "node:worker_threads";
import { EngineCore } from "../../dist/src/engine/engine-core.js";
import { runEngineLoop } from "../../dist/src/engine/thread/worker-loop.js";

/** @type {import("../../dist/src/model/backend.js").BackendLimits} */
const limits = {
  vocabSize: 50257,
  contextLength: 1024,
  pages: 1024,
  pagePositions: 16,
  maxBatchTokens: 128,
  maxLogitRows: 64,
};

/** @type {import("../../dist/src/kernels/logits-row.js").LogitsRow} */
const ROW = {
  values: new Float32Array(limits.vocabSize),
  largest: () => 0,
  argmax: () => 0,
  logSumExp: () => 0,
  logSoftmax() {},
  divide() {},
  topK: () => [{ tokenId: 0, value: 0 }],
  keepTopK() {},
  keepTopP() {},
  distribution: () => ({ tokenIds: Int32Array.of(464, 314), cumulative: Float64Array.of(0.5, 1) }),
};

/** @type {import("../../dist/src/model/backend.js").Backend} */
const backend = {
  limits,
  forward: ({ chunks }) =>
    chunks.flatMap(({ logits, tokenIds }) => {
      if (logits === "none") return [];
      return logits === "last" ? [ROW] : tokenIds.map(() => ROW);
    }),
  close: async () => {},
};

const port = /** @type {import("node:worker_threads").MessagePort} */ (parentPort);
const core = new EngineCore(backend, []);
runEngineLoop(core, port);
port.postMessage({ type: "ready", info: undefined, stats: core.stats() });
