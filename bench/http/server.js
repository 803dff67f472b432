// The server of `bench/http/bench.js`, in a process of its own: the runtime door as `serve` builds it, with SigV4, log and metrics,
// and an engine whose model costs nothing. It sends its port to the parent, and on request its processor time and the delay of its
// event loop.
// @ts-check
import { monitorEventLoopDelay } from "node:perf_hooks";
import { WorkerEngine } from "../../dist/src/engine/thread/worker-engine.js";
import { spawnEngineThread } from "../../dist/src/generator/load-generator.js";
import { resolveModelDirectory } from "../../dist/src/generator/model-directory.js";
import { TextGenerator } from "../../dist/src/generator/text-generator.js";
import { createApp } from "../../dist/src/server/doors/runtime.js";
import { Metrics } from "../../dist/src/server/http/metrics.js";
import { resolveSettings } from "../../dist/src/settings.js";
import { loadTokenizer } from "../../dist/src/tokenizer/tokenizer-files.js";
import { KEY } from "../support/server-under-test.js";

const directory = resolveModelDirectory("tiny"); // Only its tokenizer is read.
const { engine } = await WorkerEngine.start({
  spawn: () =>
    spawnEngineThread(
      { directory, options: { precision: "f32", kvCacheMb: 1, threads: 1, prefixCache: true } },
      new URL("./free-engine.js", import.meta.url),
    ),
  queueRequestsMax: 1024,
});
const facts = {
  name: "free",
  precision: "f32",
  kernels: "none",
  parameters: 0,
  vocabSize: 50257,
  contextLength: 1024,
};
const generator = new TextGenerator(engine, facts, await loadTokenizer(directory), 50256);

const settings = resolveSettings({ flags: {}, env: {} });
const metrics = new Metrics(() => new Map([["gpt-2", generator]]));
const app = createApp({
  generators: new Map([["gpt-2", generator]]),
  settings,
  keys: {
    keyPair: (id) => (id === KEY.accessKeyId ? { ...KEY, endpoints: "*" } : undefined),
    apiKey: () => undefined,
  },
  logger: { level: settings.logLevel, stream: process.stderr },
  onFinished: (record, status) => metrics.finished(record, status),
});
await app.listen({ host: "127.0.0.1", port: 0 });

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
let usage = process.cpuUsage();
process.on("message", (message) => {
  if (message === "reset") {
    delay.reset();
    usage = process.cpuUsage();
    return;
  }
  const { user, system } = process.cpuUsage(usage); // Of all threads, in microseconds.
  process.send?.({ loopDelayP99Ms: delay.percentile(99) / 1e6, cpuMs: (user + system) / 1000 });
});
process.on("disconnect", () => process.exit());
process.send?.({ port: /** @type {import("node:net").AddressInfo} */ (app.server.address()).port });
