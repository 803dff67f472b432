// Entry of an engine thread whose model costs nothing: the real engine, and one row of logits for every token, of which
// nothing has to be computed. Two tokens are left of it to choose from; no text is ever over.
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
