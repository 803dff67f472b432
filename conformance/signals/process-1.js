// Runs the container's entry point as process 1 of a PID namespace, where signals have no default action. It must end at a SIGTERM at
// every moment of its start, and at once at a second one. It needs Linux and the right to make namespaces (mostly root).
//   node conformance/signals/process-1.js
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ENTRY = join(ROOT, "dist/src/cli/container-main.js");
const IN_TIME_MS = 5000;
const ENV = { ...process.env, GPT2_API_HOST: "127.0.0.1", GPT2_API_PORT: "0" };

if (spawnSync("unshare", ["--pid", "--fork", "true"]).status !== 0) {
  process.stdout.write("skipped: namespaces cannot be made here\n");
  process.exit(0);
}

let numFailed = 0;

/** Starts the entry point as process 1. `pid` is its number outside the namespace. */
async function started(model) {
  const argv = ["--pid", "--fork", "--mount-proc", "--kill-child", process.execPath, ENTRY, "serve"];
  const child = spawn("unshare", argv, {
    env: { ...ENV, GPT2_API_MODEL: model },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const children = `/proc/${child.pid}/task/${child.pid}/children`;
  while (readFileSync(children, "utf8").trim() === "") await sleep(1);
  return { child, pid: Number(readFileSync(children, "utf8").trim()), exited: once(child, "exit") };
}

async function check(what, { child, exited }) {
  const outcome = await Promise.race([exited, sleep(IN_TIME_MS, undefined)]);
  const text = outcome === undefined ? "still runs" : `exit ${outcome.filter((each) => each !== null)}`;
  process.stdout.write(`${outcome === undefined ? "FAILED" : "passed"}  ${what}: ${text}\n`);
  if (outcome === undefined) numFailed++;
  child.kill("SIGKILL");
}

/** The origin of a server that is ready. */
async function ready({ child }) {
  let text = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    text += chunk;
    const [, origin] = /(http:\S+)\/invocations/.exec(text) ?? [];
    if (origin !== undefined) return origin;
  }
  throw new Error(`the server ended: ${text}`);
}

// Node handles no signals before its own start is over, which takes about 0.05 s on an idle machine.
for (const seconds of [0.2, 0.25, 0.3, 0.4, 0.6, 1, 2]) {
  const server = await started("tiny");
  await sleep(1000 * seconds);
  process.kill(server.pid, "SIGTERM");
  await check(`SIGTERM after ${seconds} s`, server);
}

{
  const server = await started("tiny");
  const origin = await ready(server);
  const body = JSON.stringify({ input: "Once", max_length: 256, num_return_sequences: 64 });
  for (let i = 0; i < 20; i++) fetch(`${origin}/invocations`, { method: "POST", body }).catch(() => {});
  await sleep(500);
  process.kill(server.pid, "SIGTERM");
  await sleep(500);
  process.kill(server.pid, "SIGTERM");
  await check("a second SIGTERM during long requests", server);
}

{
  const model = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  for (const file of ["config.json", "model.safetensors", "merges.txt"]) {
    symlinkSync(join(ROOT, "models/tiny", file), join(model, file));
  }
  spawnSync("mkfifo", [join(model, "vocab.json")]);
  const server = await started(model);
  await sleep(2000);
  const signal = () => {
    try {
      process.kill(server.pid, "SIGTERM");
    } catch {} // It has ended already.
  };
  signal();
  await sleep(200);
  signal();
  await check("SIGTERM while a model is read from a pipe that nobody writes to", server);
  rmSync(model, { recursive: true });
}

process.exit(numFailed > 0 ? 1 : 0);
