// Entry of an engine thread whose model costs nothing: the real engine, with logits that are the same for every token.
// Its vocabulary is 256 tokens, so that choosing one costs next to nothing either; no text is ever over.
// @ts-check
import { parentPort } from "node:worker_threads";
import { EngineCore } from "../../dist/src/engine/engine-core.js";
import { runEngineLoop } from "../../dist/src/engine/worker-loop.js";

/** @type {import("../../dist/src/model/backend.js").BackendLimits} */
const limits = {
  ...{ vocabSize: 256, contextLength: 1024 },
  ...{ pages: 1024, pagePositions: 16 },
  ...{ maxBatchTokens: 128, maxLogitRows: 64 },
};

/** All different: equal ones would be a special case for whoever chooses. */
const LOGITS = Float32Array.from(
  { length: limits.vocabSize },
  (_, id) => ((id * 97) % limits.vocabSize) / 32,
);

/** @type {import("../../dist/src/model/backend.js").Backend} */
const backend = {
  limits,
  forward({ chunks }) {
    const rows = chunks.flatMap(({ logits, tokenIds }) =>
      logits === "none" ? [] : logits === "last" ? [1] : tokenIds,
    );
    return rows.map(() => LOGITS.slice()); // The engine may write into a row.
  },
  close: async () => {},
};

const port = /** @type {import("node:worker_threads").MessagePort} */ (parentPort);
const core = new EngineCore(backend, []);
runEngineLoop(core, port);
port.postMessage({ type: "ready", info: undefined, stats: core.stats() });
