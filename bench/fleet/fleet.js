// Compares the simulation of `gpt2-api bench --plan` with reality: two real servers of one thread each get requests at random times,
// each request at the server with fewer open ones. The simulation uses times of passes that were measured just before, in as many
// processes at once as there will be servers, because cores of one machine slow each other down.
//   node bench/fleet/fleet.js [--seconds N] [--model DIR]
// @ts-check
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { capacity, passTimes } from "../../dist/src/offline/fleet/plan.js";
import { simulateFleet } from "../../dist/src/offline/fleet/simulation.js";
import { invoke } from "../support/invoke.js";
import { randomFrom, startServer } from "../support/server-under-test.js";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const NUM_SERVERS = 2;
const LOADS = [0.3, 0.5, 0.7, 0.85];
const PASS = { passRowsMax: 64, passTokensMax: 128 };
const INPUT =
  "Once upon a time there was a little girl who lived in a small house near the old forest with her dog";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "30" }, model: { type: "string", default: "tiny" } },
});
const seconds = Number(values.seconds);

/** @param {number[]} numbers @param {number} part */
const quantile = (numbers, part) => numbers.toSorted((a, b) => a - b)[Math.floor(part * numbers.length)] ?? 0;

const measured = await measuredTogether();
const flags = ["--threads", "1", "--model", values.model, "--prefix-cache", "off"];
const servers = await Promise.all(Array.from({ length: NUM_SERVERS }, () => startServer(MAIN, flags)));
const fields = { input: INPUT, max_new_tokens: 70, num_return_sequences: 3, ignore_eos: true };
process.once("exit", () => {
  for (const { child } of servers) child.kill("SIGKILL");
});
process.once("SIGTERM", () => process.exit(143));
for (const { origin } of servers) await invoke(origin, { ...fields, seed: 1 });
const promptTokens = await servers[0].metric("gpt2_prompt_tokens_total");
const traffic = {
  requestsPerSecond: 0,
  promptTokens,
  newTokens: fields.max_new_tokens,
  numSequences: fields.num_return_sequences,
};
const times = passTimes(measured, traffic);
const most = NUM_SERVERS * capacity(times, { traffic, ...PASS });
console.log(
  `${measured.model}, ${measured.kernels}, ${measured.cpu}: ${most.toFixed(1)} requests a second at most by the plan`,
);
console.log("load  requests/s    real p50, p95 ms   simulated p50, p95 ms   p95, simulated / real");

for (const load of LOADS) {
  const rate = load * most;
  const { latencies, numRefused } = await realLoad(rate);
  const options = { numServers: NUM_SERVERS, ...PASS, seconds: 600, seed: 1 };
  const { p50Ms, p95Ms } = simulateFleet({ ...traffic, requestsPerSecond: rate }, times, options);
  const real = [0.5, 0.95].map((part) => quantile(latencies, part));
  const cells = [...real, p50Ms, p95Ms].map((ms) => ms.toFixed(0).padStart(8));
  console.log(
    `${load.toFixed(2)} ${rate.toFixed(1).padStart(10)} ${cells.join("   ")} ${(p95Ms / (real[1] ?? 1)).toFixed(2).padStart(10)}` +
      (numRefused > 0 ? `   ${numRefused} refused: the queue was full` : ""),
  );
}
for (const server of servers) await server.stop();

/** `bench` in several processes at once: what one prints, with the mean times of all. */
async function measuredTogether() {
  const argv = [MAIN, "bench", "--json", "--threads", "1", "--model", values.model];
  const runs = Array.from({ length: NUM_SERVERS }, () => promisify(execFile)(process.execPath, argv));
  const all = (await Promise.all(runs)).map(({ stdout }) => JSON.parse(stdout));
  const mean = (/** @type {number[]} */ numbers) => numbers.reduce((sum, each) => sum + each, 0) / all.length;
  const rows = all[0].rows.map((row, i) => ({ ...row, ms: mean(all.map((each) => each.rows[i].ms)) }));
  return { ...all[0], rows, choiceMs: mean(all.map(({ choiceMs }) => choiceMs)) };
}

/** @param {number} rate */
async function realLoad(rate) {
  const random = randomFrom(Math.round(rate * 1000));
  const open = servers.map(() => 0);
  /** @type {number[]} */
  const latencies = [];
  let numRefused = 0;
  /** @type {Promise<void>[]} */
  const running = [];
  const began = performance.now();
  let at = 0;
  for (let seed = 0; at < seconds * 1000; seed++) {
    at += (-1000 * Math.log(1 - random.next())) / rate;
    const wait = began + at - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const index = open.indexOf(Math.min(...open));
    open[index] += 1;
    const sent = performance.now();
    running.push(
      invoke(servers[index].origin, { ...fields, seed })
        .then(
          () => latencies.push(performance.now() - sent),
          () => numRefused++,
        )
        .then(() => {
          open[index] -= 1;
        }),
    );
  }
  await Promise.all(running);
  return { latencies, numRefused };
}
