// Measures the time from the start of `serve` to the first answer, for the shipped model and for checkpoints that are named.
// `node bench/start/bench.js [--model DIRECTORY]... [--precision int8] [--runs 5] [--json]`. The server must be built.
// @ts-check
import { basename } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { invoke } from "../support/invoke.js";
import { describeMachine, machineLine } from "../support/machine.js";
import { startServer } from "../support/server-under-test.js";
import { median } from "../support/stats.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", multiple: true, default: [] },
    precision: { type: "string", default: "int8" },
    runs: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
  },
});
const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const INPUT = "The storm came over the";

/** Milliseconds from the start of the process. @param {string} model */
async function start(model) {
  const began = performance.now();
  const elapsed = () => performance.now() - began;
  const server = await startServer(MAIN, ["--model", model, "--precision", values.precision]);
  const ready = elapsed();
  await invoke(server.origin, { input: INPUT, max_new_tokens: 1, num_return_sequences: 1 });
  const firstAnswer = elapsed();
  await invoke(server.origin, { input: INPUT });
  const defaultRequest = elapsed();
  await server.stop();
  return { ready, firstAnswer, defaultRequest };
}

const results = [];
for (const model of ["tiny", ...values.model]) {
  await start(model); // Reads the files into the page cache and, where there is one, fills the cache of weights.
  /** @type {Awaited<ReturnType<typeof start>>[]} */
  const runs = [];
  for (let run = 0; run < Number(values.runs); run++) runs.push(await start(model));
  /** @param {keyof Awaited<ReturnType<typeof start>>} name */
  const middle = (name) => Math.round(median(runs.map((run) => run[name])));
  results.push({
    model: basename(model),
    precision: values.precision,
    readyMs: middle("ready"),
    firstAnswerMs: middle("firstAnswer"),
    defaultRequestMs: middle("defaultRequest"),
  });
}
if (values.json) console.log(JSON.stringify({ machine: describeMachine(), results }));
else {
  console.log(machineLine());
  console.table(results);
}
