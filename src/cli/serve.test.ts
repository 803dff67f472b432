// `serve` in a process of its own, with the model that the package ships.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { on, once } from "node:events";
import { mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDirectory, writeCheckpoint } from "../../test/support/checkpoints.ts";
import { joinedParts } from "../../test/support/event-stream.ts";
import { freePort } from "../../test/support/sockets.ts";
import { signRequest } from "../sigv4/index.ts";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

/** The environment of this process, without keys and settings. */
function environment(context: TestContext, changes: Record<string, string> = {}): NodeJS.ProcessEnv {
  const cache = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(cache, { recursive: true, force: true }));
  const kept = Object.entries(process.env).filter(([name]) => !/^(AWS_|GPT2_API_|HF_)/.test(name));
  return { ...Object.fromEntries(kept), XDG_CACHE_HOME: cache, HF_HUB_OFFLINE: "1", ...changes };
}

interface Server {
  readonly process: ChildProcess;
  readonly greeting: string;
  readonly url: string;
}

async function started(
  context: TestContext,
  changes: Record<string, string> = {},
  flags: readonly string[] = [],
  nodeFlags: readonly string[] = [],
): Promise<Server> {
  const argv = [...nodeFlags, MAIN, "serve", "--port", "0", "--log-level", "error", ...flags];
  const child = spawn(process.execPath, argv, {
    env: environment(context, changes),
    stdio: ["ignore", "pipe", "pipe"],
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

/** Resolves with standard error as soon as that has `sentence`. */
async function untilLogged(child: ChildProcess, sentence: RegExp): Promise<string> {
  const { stderr } = child;
  assert.ok(stderr);
  let log = "";
  for await (const chunk of on(stderr.setEncoding("utf8"), "data", { close: ["end"] })) {
    log += chunk;
    if (sentence.test(log)) return log;
  }
  assert.fail(`the process ended without ${sentence}: ${log}`);
}

async function invoke(
  url: string,
  accessKeyId: string,
  secretAccessKey: string,
  parameters: Record<string, unknown> = { max_length: 8, num_return_sequences: 2 },
): Promise<Response> {
  const body = JSON.stringify({ input: "Once upon a time", seed: 1, ...parameters });
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

test("the printed commands work with the keys that the server made; SIGTERM ends it with 0", async (context) => {
  const { process: child, greeting, url } = await started(context);
  // The greeting does not go to a terminal, so its commands read the secret from its file.
  const exports = greeting.split("\n").filter((line) => line.startsWith("export "));
  const script = [...exports, 'printf "%s %s" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"'].join("\n");
  const run = spawnSync("sh", ["-c", script], { encoding: "utf8" });
  const [accessKeyId = "", secretAccessKey = ""] = run.stdout.split(" ");
  assert.match(secretAccessKey, /^[\w-]{40}$/, run.stderr);
  assert.doesNotMatch(greeting, new RegExp(secretAccessKey));
  const answer = await invoke(url, accessKeyId, secretAccessKey);
  assert.equal(answer.status, 200);
  const texts = (await answer.json()) as string[];
  assert.equal(texts.length, 2);
  for (const text of texts) assert.ok(text.startsWith("Once upon a time"), text);
  assert.equal((await invoke(url, accessKeyId, "wrong")).status, 403);

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

/** A module for --import that ends the engine's thread at every SIGUSR2, as a crash would. */
const KILLER = `
  import { isMainThread } from "node:worker_threads";
  let engine;
  if (isMainThread) {
    process.on("worker", (worker) => { engine = worker; });
    process.on("SIGUSR2", () => engine.terminate());
  }
`;

test("an engine that dies is restarted, a second death ends the process, and both are logged", async (context) => {
  const env = { AWS_ACCESS_KEY_ID: "ID", AWS_SECRET_ACCESS_KEY: "secret" };
  const node = ["--import", `data:text/javascript,${encodeURIComponent(KILLER)}`];
  const { process: child, url } = await started(context, env, [], node);
  child.kill("SIGUSR2");
  await untilLogged(
    child,
    /"level":50,.*"The engine of tiny failed and is restarted: (the engine thread|a helper thread of the engine) ended"/,
  );
  assert.equal((await invoke(url, "ID", "secret")).status, 200);
  child.kill("SIGUSR2");
  await untilLogged(
    child,
    /^gpt2-api: The engine of tiny failed twice: (the engine thread|a helper thread of the engine) ended$/m,
  );
  assert.deepEqual(await once(child, "exit"), [1, null]);
});

/** Sends the longest request that is allowed. */
function askForMuch(url: string): Promise<Response> {
  return invoke(url, "ID", "secret", { max_length: 256, num_return_sequences: 64 });
}

test("SIGHUP ends no request and logs what was read again; a second SIGTERM ends a stop at once", async (context) => {
  const env = { AWS_ACCESS_KEY_ID: "ID", AWS_SECRET_ACCESS_KEY: "secret" };
  const { process: child, url } = await started(context, env, ["--log-level", "info"]);
  const answer = askForMuch(url);
  child.kill("SIGHUP");
  await untilLogged(child, /"SIGHUP: key files and certificate were read again"/);
  assert.equal((await answer).status, 200);
  const cut = assert.rejects(askForMuch(url));
  child.kill("SIGTERM");
  child.kill("SIGINT");
  const [code, signal] = await once(child, "exit");
  assert.equal(code, null);
  assert.ok(["SIGTERM", "SIGINT"].includes(signal), signal);
  await cut;
});

test("SIGHUP loads the checkpoint that the model's path now leads to, and SIGTERM during it still ends in time", async (context) => {
  const temporary = temporaryDirectory();
  context.after(() => temporary.remove());
  const link = join(temporary.path, "current");
  const point = (seed: number): void => {
    symlinkSync(writeCheckpoint(join(temporary.path, String(seed)), { seed }), `${link}.new`);
    renameSync(`${link}.new`, link);
  };
  point(1);
  const flags = ["--log-level", "info", "--model", link, "--auth", "none"];
  const { process: child, url } = await started(context, {}, flags);
  point(2);
  child.kill("SIGHUP");
  await untilLogged(child, /"reload: .*current: current serves now"/);
  const body = JSON.stringify({ prompt: [1, 2, 3], max_tokens: 4 });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${new URL(url).origin}/v1/completions`, { method: "POST", headers, body });
  assert.equal(answer.status, 200);
  point(3);
  child.kill("SIGHUP");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("a log that cannot be written does not stop the service", async (context) => {
  const env = { AWS_ACCESS_KEY_ID: "ID", AWS_SECRET_ACCESS_KEY: "secret" };
  const { process: child, url } = await started(context, env, ["--log-level", "info"]);
  child.stderr?.destroy();
  child.stdout?.destroy();
  for (let i = 0; i < 3; i++) assert.equal((await invoke(url, "ID", "secret")).status, 200);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("a server whose standard output is closed goes on serving", async (context) => {
  const env = environment(context, { AWS_ACCESS_KEY_ID: "ID", AWS_SECRET_ACCESS_KEY: "secret" });
  const port = await freePort();
  const argv = [MAIN, "serve", "--port", String(port), "--log-level", "silent"];
  const child = spawn(process.execPath, argv, { env, stdio: ["ignore", "pipe", "inherit"] });
  context.after(() => child.kill("SIGKILL"));
  child.stdout.destroy();
  const isReady = () =>
    fetch(`http://127.0.0.1:${port}/ping`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) assert.equal(child.exitCode, null);
  const url = `http://127.0.0.1:${port}/endpoints/gpt-2/invocations`;
  assert.equal((await invoke(url, "ID", "secret")).status, 200);
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

test("one process serves several endpoints, streams, and counts on its admin port", async (context) => {
  const env = { AWS_ACCESS_KEY_ID: "ID", AWS_SECRET_ACCESS_KEY: "secret" };
  const adminPort = await freePort();
  const flags = ["--endpoint", "a", "--endpoint", "b=tiny", "--admin-port", String(adminPort)];
  const { url, greeting } = await started(context, env, flags);
  assert.match(greeting, /^# http:\S+\/endpoints\/b\/invocations$/m);
  const texts = await Promise.all(
    ["a", "b"].map(async (name) => {
      const answer = await invoke(url.replace("/a/", `/${name}/`), "ID", "secret");
      return answer.json() as Promise<string[]>;
    }),
  );
  assert.deepEqual(texts[0], texts[1]);
  const stream = await invoke(`${url}-response-stream`, "ID", "secret");
  assert.deepEqual(JSON.parse(joinedParts(Buffer.from(await stream.arrayBuffer()))), texts[0]);
  const admin = (path: string) => fetch(`http://127.0.0.1:${adminPort}${path}`);
  assert.equal((await admin("/readyz")).status, 200);
  const metrics = await (await admin("/metrics")).text();
  assert.match(metrics, /^gpt2_requests_total\{operation="InvokeEndpoint",endpoint="b",code="200"\} 1$/m);
  assert.match(metrics, /^gpt2_generated_tokens_total\{endpoint="a"\} [1-9]/m);
});

test("a start that fails gives one sentence and an exit code", (context) => {
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
  for (const argv of [["--help"], ["-h"], ["help"]])
    assert.match(run(...argv).stdout, /^Usage: gpt2-api COMMAND .*serve/s);
  assert.match(run().stdout, /^gpt2-api completes texts .*\n {2}gpt2-api generate /);
  const short = run("serve", "--help").stdout;
  const long = run("serve", "--help", "all").stdout;
  assert.doesNotMatch(short, /--drain-timeout-ms/);
  assert.match(long, /--drain-timeout-ms/);
  assert.deepEqual([run("help", "serve").stdout, run("serve", "--help=all").stdout], [short, long]);
  assert.match(run("--version").stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match(run("serve", "--help").stdout, /--port N/);
});
