// The command behind `run.sh`: prepares the contestants, measures them round by round, and writes a table and JSON.
// @ts-check
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { threadsFor } from "../../dist/src/machine/cpus.js";
import { measureMachine } from "../../dist/src/offline/measure.js";
import { describeMachine, machineLine } from "../support/machine.js";
import { CONTESTANTS, transformersLogits } from "./contestants.js";
import { FULL, measureBatches, measureServer, QUICK } from "./measure.js";
import { measureQuality } from "./quality.js";
import { markdown, summarize } from "./report.js";

const PEERS = [...new Set(CONTESTANTS.slice(1).map(({ peer }) => peer))];
const PARTS = ["speed", "quality"];
const USAGE = `bench/compare/run.sh [--peers a,b] [--threads N] [--quick] [--only PART] [--prepare] [--out FOLDER]

  --peers    Who is measured beside gpt2-api int8: ${PEERS.join(", ")}. Default: all.
  --threads  Threads of every contestant. Default 0: as many as the machine has room for.
  --quick    One short round instead of two, and fewer windows.
  --only     ${PARTS.join(" or ")}. Default: both.
  --prepare  Only installs, builds and converts.
  --out      Folder for compare.md and compare.json. Default: bench/compare/.work/results.
`;
const { values } = parseArgs({
  options: {
    peers: { type: "string", default: PEERS.join(",") },
    threads: { type: "string", default: "0" },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    prepare: { type: "boolean", default: false },
    out: { type: "string", default: fileURLToPath(new URL(".work/results", import.meta.url)) },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit();
}
const { only = "" } = values;
if (only !== "" && !PARTS.includes(only))
  throw new Error(`--only knows ${PARTS.join(", ")}, and not ${only}`);
const threads = threadsFor(Number(values.threads));
const chosen = values.peers.split(",");
const unknown = chosen.find((name) => !PEERS.includes(name));
if (unknown !== undefined) throw new Error(`--peers knows ${PEERS.join(", ")}, and not ${unknown}`);

/** @typedef {{ contestant: import("./contestants.js").Contestant, ready?: import("./contestants.js").Ready, result: import("./report.js").Result }} Entrant */

/** @type {Entrant[]} */
const entrants = CONTESTANTS.filter(({ peer }, i) => i === 0 || chosen.includes(peer)).map((contestant) => {
  const { name, noServer } = contestant;
  return { contestant, result: { name, ...(noServer && { noServer }), batches: [], loads: [], remarks: [] } };
});

/**
 * Runs a step of one contestant. A failure ends only this contestant's part.
 * @param {Entrant} entrant
 * @param {string} what
 * @param {() => Promise<void>} run
 */
async function attempt({ contestant, result }, what, run) {
  if (result.failed !== undefined) return;
  console.error(`# ${contestant.name}: ${what}`);
  try {
    await run();
  } catch (error) {
    result.failed = error instanceof Error ? error.message : String(error);
    console.error(`# ${contestant.name}: ${result.failed}`);
  }
}

for (const entrant of entrants) {
  await attempt(entrant, "is prepared", async () => {
    entrant.ready = await entrant.contestant.prepare(threads);
  });
}
if (values.prepare) process.exit();

const plan = values.quick ? QUICK : FULL;
const rounds = only === "quality" ? 0 : values.quick ? 1 : 2;
const { bandwidth } = await measureMachine({ precision: "f32", kernels: "auto", threads });
for (let round = 1; round <= rounds; round++) {
  for (const entrant of entrants) {
    const { ready, result } = entrant;
    await attempt(entrant, `round ${round}`, async () => {
      const batches = await /** @type {import("./contestants.js").Ready} */ (ready).batches();
      result.version = batches.version;
      try {
        result.batches.push(await measureBatches(batches, plan));
      } finally {
        await batches.stop();
      }
    });
    const serve = ready?.serve;
    if (serve === undefined) continue;
    await attempt(entrant, `round ${round}, HTTP`, async () => {
      const server = await serve();
      try {
        result.loads.push(await measureServer(server, plan));
        const remark = await server.remark?.();
        if (remark !== undefined) result.remarks.push(remark);
      } finally {
        await server.stop();
      }
    });
  }
}

for (const entrant of entrants) {
  const logits = entrant.ready?.logits;
  if (logits === undefined || only === "speed") continue;
  await attempt(entrant, "quality", async () => {
    const sources = [await transformersLogits(threads), await logits()];
    try {
      entrant.result.quality = await measureQuality(...sources, plan.windows);
    } finally {
      await Promise.all(sources.map((source) => source.stop()));
    }
  });
}

const results = entrants.map(({ result }) => result);
const { rows, context, newTokens } = plan;
const speed = `Tokens per second for decoding (${rows.join(", ")} rows from context ${context} to ${context + newTokens}), for prompts, and
for the default request from several clients over HTTP with p50 and p99 of its time; the default request alone in seconds.
${rounds === 1 ? "One short round" : `Each figure is the better of ${rounds} rounds, latencies are of all rounds`}; in brackets: times as fast as ${results[0]?.name}.`;
const quality = `KL divergence, agreement and perplexity are of the embedded model on ${plan.windows} windows of each held-out text, beside
transformers in f32.`;
const table = `# GPT-2 (124 M, random weights) on ${threads} threads

${machineLine()}; memory ${(bandwidth / 1e9).toFixed(1)} GB/s.

${[rounds > 0 && speed, only !== "speed" && quality].filter(Boolean).join("\n")}

${markdown(results)}
`;
const out = resolve(values.out);
mkdirSync(out, { recursive: true });
const facts = { machine: describeMachine(), bandwidth, threads, plan, rounds };
const document = { ...facts, summaries: results.map(summarize), results };
writeFileSync(join(out, "compare.json"), JSON.stringify(document, null, 2));
writeFileSync(join(out, "compare.md"), table);
console.log(table);
