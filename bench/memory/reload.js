// @ts-check
// Checks that reloads leak no memory: it measures the server's resident memory over reloads while requests run. The first third is
// not counted, because JavaScript collects garbage, such as an old tokenizer, late. It starts the built command on a link to one of
// two folders with the same files, moves the link, and reloads through the admin port.
// `node bench/memory/reload.js [--model DIR] [--reloads 30] [--kv-cache-mb 64]`; Linux only.
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startServer } from "../support/server-under-test.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "models/tiny" },
    reloads: { type: "string", default: "30" },
    "kv-cache-mb": { type: "string", default: "64" },
  },
});
/** A larger increase from the second third of the reloads to the last counts as growth. */
const GROWTH_MAX = 1.1;
const CALLERS = 4;

const place = mkdtempSync(join(tmpdir(), "gpt2-api-reload-"));
const link = join(place, "current");
for (const name of ["a", "b"]) {
  mkdirSync(join(place, name));
  for (const file of readdirSync(values.model))
    symlinkSync(resolve(values.model, file), join(place, name, file));
}
/** @param {number} turn */
const point = (turn) => {
  symlinkSync(join(place, turn % 2 === 0 ? "a" : "b"), `${link}.new`);
  renameSync(`${link}.new`, link);
};
point(0);

const server = await startServer(resolve("dist/src/cli/main.js"), [
  ...["--model", link, "--auth", "none", "--kv-cache-mb", values["kv-cache-mb"], "--weight-cache-mb", "0"],
]);
let isOver = false;
let numAnswers = 0;
/** @param {number} caller */
async function ask(caller) {
  for (let i = 0; !isOver; i++) {
    const answer = await fetch(`${server.origin}/endpoints/gpt-2/invocations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ input: ` ${caller} ${i}`.repeat(20), max_length: 150, num_return_sequences: 4 }),
    });
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    await answer.text();
    numAnswers += 1;
  }
}
const callers = Array.from({ length: CALLERS }, (_, caller) => ask(caller));
/** @type {number[]} MB, each measured when the old model is closed */
const resident = [];
for (let turn = 1; turn <= Number(values.reloads); turn++) {
  const before = numAnswers;
  while (numAnswers < before + 2 * CALLERS) await new Promise((done) => setTimeout(done, 20));
  point(turn);
  const answer = await fetch(`${server.adminOrigin}/reload`, { method: "POST" });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  // A reload waits until the last old model is closed. So a reload that changes nothing shows when that is.
  await fetch(`${server.adminOrigin}/reload`, { method: "POST" });
  resident.push(server.residentMb());
  console.log(`after reload ${turn}: ${resident.at(-1)?.toFixed(0)} MB, ${numAnswers} answers`);
}
isOver = true;
await Promise.all(callers);
await server.stop();
rmSync(place, { recursive: true });
const third = Math.floor(resident.length / 3);
/** @param {readonly number[]} some */
const mean = (some) => some.reduce((sum, each) => sum + each, 0) / Math.max(1, some.length);
const [middle, last] = [mean(resident.slice(third, -third)), mean(resident.slice(-third))];
console.log(
  `second third ${middle.toFixed(0)} MB, last ${last.toFixed(0)} MB, ${(last / middle).toFixed(2)} times as much; ` +
    `all ${numAnswers} requests were answered`,
);
if (!(last / middle <= GROWTH_MAX)) process.exitCode = 1;
