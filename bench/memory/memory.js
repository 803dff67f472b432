// @ts-check
// Compares the memory of a server with what it should need: weights, keys and values, and the process itself. It starts the built
// command on loopback, sends requests until every page was used once, and reads the memory of the process.
// `node bench/memory/memory.js [--model DIR] [--precision int8] [--kv-cache-mb 256] [--requests 8]`; Linux only.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { KEY, startServer } from "../support/server-under-test.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "models/tiny" },
    precision: { type: "string", default: "int8" },
    "kv-cache-mb": { type: "string", default: "256" },
    requests: { type: "string", default: "8" },
    from: { type: "string", default: "dist" },
  },
});
const RATIO_MAX = 1.2;
const CALLERS = 8;

/** @param {string} file a compiled file */
const compiled = (file) => import(pathToFileURL(resolve(values.from, "src", file)).href);
const { Arena } = await compiled("kernels/memory.js");
const { parseGpt2Config } = await compiled("model/gpt2-config.js");
const { PROCESS_BYTES } = await compiled("machine/memory-budget.js");
const { pagesFor } = await compiled("model/loading/footprint.js");
const { pageBytes } = await compiled("model/gpt2.js");
const { allocateWeights } = await compiled("model/weights.js");
const { signRequest } = await compiled("sigv4/index.js");

const configFile = resolve(values.model, "config.json");
const config = parseGpt2Config(JSON.parse(readFileSync(configFile, "utf8")), configFile);
const weights = allocateWeights(new Arena(), config, values.precision).region.bytes;
const keysAndValues = pagesFor(config, Number(values["kv-cache-mb"])) * pageBytes(config);

const server = await startServer(resolve(values.from, "src/cli/main.js"), [
  ...["--model", values.model, "--precision", values.precision, "--kv-cache-mb", values["kv-cache-mb"]],
  ...["--request-deadline-ms", "3600000"],
]);
const rows = [["when it is ready", ...resident()]];

/** Resident memory of the server in bytes: now, and at its peak. */
function resident() {
  const status = readFileSync(`/proc/${server.child.pid}/status`, "utf8");
  return ["VmRSS", "VmHWM"].map((name) => 1024 * Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]));
}

/** Each request has a new prompt of half a context and many sequences, so that it uses many pages. */
async function ask(/** @type {number} */ index) {
  const url = `${server.origin}/endpoints/gpt-2/invocations`;
  const maxLength = Math.floor(config.contextLength / 2) + 16;
  const body = JSON.stringify({
    input: ` ${index}`.repeat(Math.floor(maxLength / 4)),
    max_length: maxLength,
    num_return_sequences: 8,
    seed: index,
  });
  const options = { credential: KEY, region: "us-east-1", service: "sagemaker", now: new Date() };
  const headers = signRequest({ method: "POST", url, body }, options);
  const answer = await fetch(url, { method: "POST", headers, body });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
}

let next = 0;
await Promise.all(
  Array.from({ length: CALLERS }, async () => {
    while (next < Number(values.requests)) await ask(next++);
  }),
);
rows.push([`after ${values.requests} requests`, ...resident()]);
await server.stop();

const budget = weights + keysAndValues + PROCESS_BYTES.busy;
const mib = (/** @type {number} */ bytes) => (bytes / 2 ** 20).toFixed(0);
console.log(
  `weights ${mib(weights)} MiB, keys and values ${mib(keysAndValues)}, the process ${mib(PROCESS_BYTES.busy)}`,
);
for (const [when, now, peak] of /** @type {[string, number, number][]} */ (rows)) {
  const ratio = (now / budget).toFixed(2);
  console.log(
    `${when}: resident ${mib(now)} MiB (${ratio} of the sum, at most ${RATIO_MAX}), peak ${mib(peak)}`,
  );
}
process.exitCode = rows.every(([, , peak]) => Number(peak) <= RATIO_MAX * budget) ? 0 : 1;
