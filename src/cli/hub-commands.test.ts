// `pull`, `models` and `rm`, and the commands that fetch a model by themselves, as processes on a hub of our own: with
// signals, killed processes, and several at once.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type CheckpointOptions,
  temporaryDirectory,
  writeCheckpoint,
} from "../../test/support/checkpoints.ts";
import { FakeHub } from "../../test/support/fake-hub.ts";
import {
  addCommit,
  directoryContents,
  fakeRepository,
  modelContents,
  sha256,
} from "../../test/support/fake-repository.ts";
import { HubProcess } from "../../test/support/hub-process.ts";
import { packageRoot } from "../generator/model-directory.ts";

const SIZE = 3_000_000;

/** A GPT-2 that can be loaded, with a tokenizer. */
function loadable(format: CheckpointOptions["format"] = "safetensors"): Record<string, Buffer> {
  const directory = temporaryDirectory();
  writeCheckpoint(directory.path, { seed: 1, V: 512, P: 64, format });
  const contents = directoryContents(directory.path);
  directory.remove();
  const tokenizer = join(packageRoot(), "test", "fixtures", "tokenizer", "small", "tokenizer.json");
  return { ...contents, "tokenizer.json": readFileSync(tokenizer) };
}

async function scene(
  context: TestContext,
  contents: Parameters<typeof fakeRepository>[1] = modelContents(SIZE),
) {
  const repository = fakeRepository("openai-community/gpt2", contents);
  const hub = await FakeHub.start([repository], { aliases: { gpt2: repository.id } }, context);
  const at = new HubProcess(context, hub.endpoint);
  const commit = repository.refs.get("main") ?? "";
  return { hub, repository, at, commit, blobs: join(at.cache, "models--gpt2", "blobs") };
}

/** Asserts that every large blob has the hash in its name, and that no partial file is left. */
function assertBlobs(blobs: string): void {
  for (const name of readdirSync(blobs)) {
    assert.match(name, /^([0-9a-f]{40}|[0-9a-f]{64})$/);
    if (name.length === 64) assert.equal(sha256(readFileSync(join(blobs, name))), name);
  }
}

test("pull fetches a model, models lists it, and rm removes it", async (context) => {
  const { at, commit, repository } = await scene(context);
  const directory = join(at.cache, "models--gpt2", "snapshots", commit);
  const first = await at.run(["pull", "gpt2"]);
  assert.deepEqual([first.status, first.stdout], [0, `${directory}\n`]);
  const label = `openai-community/gpt2 at ${commit.slice(0, 8)}`;
  const lines = `^${label}: 6 files, 3\\.0 MB\n${label} is complete, 3\\.0 MB fetched in \\d+ s\n$`;
  assert.match(first.stderr, new RegExp(lines));
  const again = await at.run(["pull", "--quiet", "https://huggingface.co/gpt2"]);
  assert.equal(again.stderr, `${label}: 6 files, 3.0 MB, 6 already here\n${label} is complete\n`);

  const table = await at.run(["models"]);
  assert.match(table.stdout, /^NAME +COMMIT +REFS +SIZE +WEIGHTS +STATE\n/);
  assert.match(
    table.stdout,
    new RegExp(`\\ngpt2 +${commit.slice(0, 8)} +main +3\\.0 MB +safetensors +complete\\n$`),
  );
  const json = JSON.parse((await at.run(["models", "--json"])).stdout);
  assert.deepEqual([json.id, json.commit, json.refs, json.directory], ["gpt2", commit, ["main"], directory]);

  const asked = await at.run(["rm", "gpt2"]);
  assert.deepEqual([asked.status, asked.stdout], [2, ""]);
  assert.match(asked.stderr, /^gpt2-api: Remove gpt2, 3\.0 MB\? No terminal can answer; add --yes\n$/);
  addCommit(repository, "dev", { ...modelContents(SIZE), "added_tokens.json": "{}" });
  await at.run(["pull", "gpt2@dev"]);
  const one = await at.run(["rm", "gpt2@dev", "--yes"]);
  assert.match(one.stderr, /^Removed gpt2 at [0-9a-f]{8}, 0\.000 MB\.\n$/);
  const gone = await at.run(["rm", "gpt2", "--yes"]);
  assert.deepEqual([gone.status, gone.stderr], [0, "Removed gpt2, 3.0 MB.\n"]);
  assert.deepEqual(readdirSync(at.cache), []);
  const none = await at.run(["rm", "gpt2", "--yes"]);
  assert.equal(none.status, 1);
  assert.match(none.stderr, /^There is no gpt2 in .*; gpt2-api models lists what there is\.\n$/);
  assert.match((await at.run(["models"])).stderr, /^There are no GPT-2 models in /);
});

test("a wrong name or a fault of the hub gives one sentence and an exit code", async (context) => {
  const { at } = await scene(context);
  const cases: [argv: string[], env: Record<string, string>, status: number, sentence: RegExp][] = [
    [["pull"], {}, 2, /^gpt2-api: One NAME must be given/],
    [["pull", "tiny"], {}, 2, /"tiny" is on this machine already, at .*; there is nothing to fetch\n$/],
    [["pull", "a--b"], {}, 1, /"a--b" cannot be looked up on a hub: /],
    [["pull", "owner/none"], {}, 1, /owner\/none: the hub knows no such model, or it is private/],
    [["pull", "gpt2"], { HF_HUB_ETAG_TIMEOUT: "x" }, 2, /HF_HUB_ETAG_TIMEOUT must be/],
    [
      ["generate", "--model", "gpt2", "--offline", "x"],
      {},
      1,
      /gpt2 \(main\) is not in .*, and --offline forbids fetching; run gpt2-api pull gpt2 online; there is no directory "gpt2" either\n$/,
    ],
    [
      ["container", "--model", "gpt2", "--port", "0"],
      {},
      1,
      /and a container without --download forbids fetching/,
    ],
  ];
  const ended = await Promise.all(cases.map(([argv, env]) => at.run(argv, env)));
  for (const [i, [argv, , status, sentence]] of cases.entries()) {
    assert.deepEqual([ended[i]?.status, ended[i]?.stdout], [status, ""], `${argv}: ${ended[i]?.stderr}`);
    assert.match(ended[i]?.stderr ?? "", sentence);
  }
});

test("over https a redirect to http is refused, and a trusted certificate is accepted", async (context) => {
  const { hub } = await scene(context);
  const pem = (name: string) => readFileSync(join(packageRoot(), "test", "fixtures", "tls", name));
  const server = createServer(
    { cert: pem("first-cert.pem"), key: pem("first-key.pem") },
    (request, response) => {
      response.writeHead(307, { location: `${hub.endpoint}${request.url}`, "content-length": 0 }).end();
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const at = new HubProcess(context, `https://127.0.0.1:${port}`);
  const trusted = join(packageRoot(), "test", "fixtures", "tls", "first-cert.pem");
  const { status, stderr } = await at.run(["pull", "gpt2"], { NODE_EXTRA_CA_CERTS: trusted });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^gpt2-api: 127\.0\.0\.1:\d+ does not answer like a hub \(it redirects from https to http\)/,
  );
  assert.deepEqual(hub.log, []);
});

test("generate fetches a model and completes with it, and needs no hub the second time", async (context) => {
  const { at, hub, commit } = await scene(context, loadable());
  const argv = [
    "generate",
    "--model",
    "gpt2",
    "--mode",
    "greedy",
    "--max-length",
    "8",
    "--num-return-sequences",
    "1",
    "a b",
  ];
  const first = await at.run(argv);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, new RegExp(`^openai-community/gpt2 at ${commit.slice(0, 8)}: 3 files, `));
  hub.log.length = 0;
  const second = await at.run(argv, { HF_HUB_OFFLINE: "1" });
  assert.deepEqual(second, { ...first, stderr: "" });
  assert.deepEqual(hub.log, []);
});

test("a repository with only pytorch_model.bin is pulled and served offline, with the answers of the same safetensors", async (context) => {
  const answers: unknown[] = [];
  for (const format of ["safetensors", "zip", "legacy"] as const) {
    const { at } = await scene(context, loadable(format));
    const pulled = await at.run(["pull", "gpt2"]);
    assert.equal(pulled.status, 0, pulled.stderr);
    const bin = existsSync(join(pulled.stdout.trim(), "pytorch_model.bin"));
    assert.equal(bin, format !== "safetensors");
    const flags = [
      "--port",
      "0",
      "--admin-port",
      "0",
      "--model",
      "gpt2",
      "--auth",
      "none",
      "--precision",
      "f32",
    ];
    const server = at.start(["serve", ...flags], { HF_HUB_OFFLINE: "1" });
    const origin = await server.says(/^# (http:\S+?)\/endpoints/m);
    const body = JSON.stringify({ input: "a b", max_length: 12, mode: "greedy" });
    const answer = await fetch(`${origin}/endpoints/gpt-2/invocations`, { method: "POST", body });
    answers.push([answer.status, await answer.json()]);
    server.child.kill("SIGTERM");
    assert.equal((await server.ended).status, 0);
  }
  assert.deepEqual(answers, [answers[0], answers[0], answers[0]]);
  assert.equal((answers[0] as unknown[])[0], 200);
});

test("serve listens while it fetches its model, reports the progress, and then answers", async (context) => {
  const { at, hub } = await scene(context, loadable());
  let goOn: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  hub.fail({ on: "cdn", body: { pieces: 10_000, beforePiece: () => gate } });
  const flags = ["--port", "0", "--admin-port", "0", "--model", "gpt2", "--log-level", "info"];
  const server = at.start(["serve", ...flags]);
  await server.says(/"msg":"openai-community\/gpt2 at [0-9a-f]{8}: 3 files, /);
  goOn();
  await server.says(/^# gpt2 \(openai-community\/gpt2 at [0-9a-f]{8}, 0\.0 M parameters/m);
  await server.says(/stops the server/);
  server.child.kill("SIGTERM");
  const { status, stdout, stderr } = await server.ended;
  assert.equal(status, 0);
  assert.match(stderr, /"msg":"openai-community\/gpt2 at [0-9a-f]{8} is complete, /);
  assert.match(stdout, /^# http:\/\/127\.0\.0\.1:\d+\/endpoints\/gpt-2\/invocations$/m);
});

test("a server that is stopped while it fetches says how far it got and ends with 0; the next one continues there", async (context) => {
  const { at, hub } = await scene(context);
  hub.fail({ on: "cdn", body: { stallAt: 1_000_000 } });
  const server = at.start(["serve", "--port", "0", "--model", "gpt2"]);
  hub.onRequest = ({ place }) => place === "cdn" && setImmediate(() => server.child.kill("SIGTERM"));
  const { status, stderr } = await server.ended;
  assert.equal(status, 0);
  assert.match(
    stderr,
    /"msg":"stopped at \d\.\d of 3\.0 MB of model\.safetensors; the same command continues there"/,
  );
});

test("Ctrl-C ends a pull by the signal and says how far it got; the next pull continues there", async (context) => {
  const { at, hub, blobs } = await scene(context);
  hub.fail({ on: "cdn", body: { stallAt: 1_000_000 } });
  const pull = at.start(["pull", "gpt2"]);
  await pull.says(/6 files/);
  while (partialBytes(blobs) < 1_000_000) await new Promise((resolve) => setImmediate(resolve));
  pull.child.kill("SIGINT");
  const { signal, stdout, stderr } = await pull.ended;
  assert.deepEqual([signal, stdout], ["SIGINT", ""]);
  assert.match(
    stderr,
    /^stopped at 1\.0 of 3\.0 MB of model\.safetensors; the same command continues there$/m,
  );
  const next = await at.run(["pull", "gpt2"]);
  assert.equal(next.status, 0);
  assert.equal(hub.log.at(-1)?.headers.range, "bytes=1000000-");
  assertBlobs(blobs);
});

test("killed at any moment, a pull leaves a cache that the next one completes", async (context) => {
  const { at, hub, blobs, commit } = await scene(context);
  // Killed at the first request, at the list of files, and among the files; then with half of the weights fetched.
  for (const number of [1, 4, 7]) {
    let numAsked = 0;
    const pull = at.start(["pull", "gpt2"]);
    hub.onRequest = () => {
      if (++numAsked === number) pull.child.kill("SIGKILL");
    };
    assert.equal((await pull.ended).signal, "SIGKILL");
    assert.ok(!existsSync(join(at.cache, "models--gpt2", "refs", "main")));
  }
  hub.onRequest = () => {};
  hub.fail({ on: "cdn", body: { stallAt: 1_500_000 } });
  const half = at.start(["pull", "gpt2"]);
  while (partialBytes(blobs) < 1_500_000) await new Promise((resolve) => setImmediate(resolve));
  half.child.kill("SIGKILL");
  await half.ended;
  // Make the partial files look abandoned: as if nobody had written to them for long.
  for (const name of readdirSync(blobs)) if (name.includes("incomplete")) utimesSync(join(blobs, name), 1, 1);
  hub.log.length = 0;
  const last = await at.run(["pull", "gpt2"]);
  assert.equal(last.status, 0, last.stderr);
  assert.equal(hub.log.at(-1)?.headers.range, "bytes=1500000-");
  assertBlobs(blobs);
  assert.equal(readFileSync(join(at.cache, "models--gpt2", "refs", "main"), "utf8"), commit);
});

test("two pulls at once do no harm, even with a removal between them", async (context) => {
  const { at, blobs } = await scene(context);
  const pulls = await Promise.all([
    at.run(["pull", "gpt2"]),
    at.run(["pull", "gpt2"]),
    at.run(["pull", "gpt2"]),
  ]);
  for (const { status, stderr } of pulls) assert.equal(status, 0, stderr);
  assertBlobs(blobs);
  const both = await Promise.all([at.run(["pull", "gpt2"]), at.run(["rm", "gpt2", "--yes"])]);
  for (const { status, stderr } of both) assert.equal(status, 0, stderr);
  if (existsSync(blobs)) assertBlobs(blobs);
});

/** Size of the largest partial file. */
function partialBytes(blobs: string): number {
  if (!existsSync(blobs)) return 0;
  const partial = readdirSync(blobs).filter((name) => name.includes("incomplete"));
  const sizes = partial.map((name) => statSync(join(blobs, name), { throwIfNoEntry: false })?.size ?? 0);
  return Math.max(0, ...sizes);
}
