// The command itself, in a process of its own, on the embedded model.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { signRequest } from "../sigv4/index.ts";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

/** The environment of this process, without keys and settings. */
function environment(context: TestContext, changes: Record<string, string> = {}): NodeJS.ProcessEnv {
  const cache = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(cache, { recursive: true, force: true }));
  const kept = Object.entries(process.env).filter(([name]) => !/^(AWS_|GPT2_API_)/.test(name));
  return { ...Object.fromEntries(kept), XDG_CACHE_HOME: cache, ...changes };
}

interface Server {
  readonly process: ChildProcess;
  readonly greeting: string;
  readonly url: string;
}

async function started(context: TestContext, changes: Record<string, string> = {}): Promise<Server> {
  const argv = [MAIN, "serve", "--port", "0", "--log-level", "error"];
  const child = spawn(process.execPath, argv, {
    env: environment(context, changes),
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.after(() => child.kill("SIGKILL"));
  let greeting = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    greeting += chunk;
    if (greeting.includes("stops the server")) break;
  }
  const url = /^# (http:\S+)$/m.exec(greeting)?.[1];
  assert.ok(url, greeting);
  return { process: child, greeting, url };
}

async function invoke(url: string, accessKeyId: string, secretAccessKey: string): Promise<Response> {
  const body = JSON.stringify({ input: "Once upon a time", max_length: 8, num_return_sequences: 2, seed: 1 });
  const headers = signRequest(
    { method: "POST", url, body },
    {
      credential: { accessKeyId, secretAccessKey },
      region: "us-east-1",
      service: "sagemaker",
      now: new Date(),
    },
  );
  return fetch(url, { method: "POST", headers, body });
}

test("what is printed works: the address with the keys that were made; SIGTERM ends it with 0", async (context) => {
  const { process: child, greeting, url } = await started(context);
  const exported = (name: string) => new RegExp(`^export ${name}=(\\S+)$`, "m").exec(greeting)?.[1] ?? "";
  const answer = await invoke(url, exported("AWS_ACCESS_KEY_ID"), exported("AWS_SECRET_ACCESS_KEY"));
  assert.equal(answer.status, 200);
  const texts = (await answer.json()) as string[];
  assert.equal(texts.length, 2);
  for (const text of texts) assert.ok(text.startsWith("Once upon a time"), text);
  assert.equal((await invoke(url, exported("AWS_ACCESS_KEY_ID"), "wrong")).status, 403);

  const { port } = new URL(url);
  const second = spawnSync(process.execPath, [MAIN, "serve", "--port", port], {
    env: environment(context),
    encoding: "utf8",
  });
  assert.equal(second.status, 1);
  assert.match(second.stderr, /Cannot listen on 127\.0\.0\.1 port \d+: the port is in use/);

  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("a secret that came from the environment is used and not printed", async (context) => {
  const { greeting, url } = await started(context, {
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "hidden-secret",
  });
  assert.doesNotMatch(greeting, /hidden-secret|^export/m);
  assert.equal((await invoke(url, "AKIDEXAMPLE", "hidden-secret")).status, 200);
});

test("what stops a start is one sentence and an exit code", (context) => {
  const cases: [argv: string[], status: number, sentence: RegExp][] = [
    [["serve", "--model", "no-such-model"], 1, /^gpt2-api: .*"no-such-model".*\n$/],
    [["serve", "--port", "x"], 2, /^gpt2-api: --port must be an integer from 0 to 65535, got "x"\. .*\n$/],
    [["serv"], 2, /^gpt2-api: The command "serv" is unknown; did you mean serve\?\n$/],
  ];
  for (const [argv, status, sentence] of cases) {
    const run = spawnSync(process.execPath, [MAIN, ...argv], { env: environment(context), encoding: "utf8" });
    assert.deepEqual([run.status, run.stdout], [status, ""]);
    assert.match(run.stderr, sentence);
  }
});

test("help and version", () => {
  const run = (...argv: string[]) => spawnSync(process.execPath, [MAIN, ...argv], { encoding: "utf8" });
  for (const argv of [[], ["--help"], ["-h"]])
    assert.match(run(...argv).stdout, /^Usage: gpt2-api COMMAND .*serve/s);
  assert.match(run("--version").stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match(run("serve", "--help").stdout, /--port N/);
});
