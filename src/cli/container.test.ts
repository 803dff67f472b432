// The container as a platform starts it: a process with the argument `serve`, on a model that cannot be written to.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort } from "../../test/support/sockets.ts";
import { resolveModelDirectory } from "../generator/model-directory.ts";

const ENTRY = fileURLToPath(new URL("./container-main.js", import.meta.url));

test("`serve` serves a read-only model on the port of the platform, and SIGTERM ends it with 0", async (context) => {
  const model = mkdtempSync(join(tmpdir(), "gpt2-api-model-"));
  context.after(() => {
    chmodSync(model, 0o755);
    rmSync(model, { recursive: true });
  });
  cpSync(resolveModelDirectory("tiny"), model, { recursive: true });
  chmodSync(model, 0o555);
  const before = readdirSync(model);
  const child = spawn(process.execPath, [ENTRY, "serve"], {
    env: {
      GPT2_API_HOST: "127.0.0.1",
      GPT2_API_MODEL: model,
      GPT2_API_LOG_LEVEL: "info",
      SAGEMAKER_BIND_TO_PORT: "0",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  context.after(() => child.kill("SIGKILL"));
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  const [, origin = ""] = /(http:\S+)\/invocations/.exec(line) ?? [];
  assert.equal((await fetch(`${origin}/ping`)).status, 200);
  const request = { input: "Once upon a time", max_length: 8, num_return_sequences: 2, seed: 1 };
  const answer = await fetch(`${origin}/invocations`, { method: "POST", body: JSON.stringify(request) });
  const texts = (await answer.json()) as string[];
  assert.equal(texts.length, 2);
  for (const text of texts) assert.ok(text.startsWith("Once upon a time"), text);
  child.kill("SIGHUP");
  while (!log.includes("its files are those that are loaded")) await once(child.stderr, "data");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
  assert.deepEqual(readdirSync(model), before);
});

test("the log says once which model is served, where and with which kernels, and does not log a /ping that succeeds", async (context) => {
  const admin = await freePort();
  const child = spawn(process.execPath, [ENTRY, "serve"], {
    env: { GPT2_API_HOST: "127.0.0.1", GPT2_API_PORT: "0", GPT2_API_ADMIN_PORT: String(admin) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  context.after(() => child.kill("SIGKILL"));
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
  });
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  const [, origin = ""] = /(http:\S+)\/invocations/.exec(line) ?? [];
  assert.equal((await fetch(`${origin}/ping`)).status, 200);
  assert.equal((await fetch(`${origin}/elsewhere`)).status, 404);
  child.kill("SIGTERM");
  await once(child, "close");
  const lines = log
    .trim()
    .split("\n")
    .map((text) => JSON.parse(text));
  const requests = lines.filter(({ msg }) => msg === "request");
  assert.deepEqual(
    requests.map(({ path }) => path),
    ["/elsewhere"],
  );
  const [listening, ...others] = lines.filter(({ msg }) => msg.startsWith("listening"));
  assert.deepEqual([listening.msg, others], [`listening at ${origin}`, []]);
  const { url, version, endpoints } = lines.find(({ msg }) => msg === "ready");
  assert.equal(url, origin);
  assert.match(version, /^\d+\.\d+\.\d+$/);
  const [{ kernels, threads, ...served }, ...more] = endpoints;
  assert.deepEqual([served, more], [{ endpoint: "container", model: "tiny", precision: "int8" }, []]);
  assert.deepEqual([typeof kernels, typeof threads], ["string", "number"]);
});

test("any other argument, or a missing model, ends the start with one sentence", () => {
  const run = (argv: string[], env = {}) =>
    spawnSync(process.execPath, [ENTRY, ...argv], { env, encoding: "utf8" });
  const train = run(["train"]);
  assert.equal(train.status, 2);
  assert.match(train.stderr, /is started with the argument serve, got "train"/);
  const missing = run([], {
    GPT2_API_MODEL: "/no/such/model",
    GPT2_API_PORT: "0",
    GPT2_API_HOST: "127.0.0.1",
  });
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /model "\/no\/such\/model": there is no such directory/);
});
