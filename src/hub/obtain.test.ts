// When the hub is asked and when it is not, and which states of the cache are complete enough to start from.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeHub } from "../../test/support/fake-hub.ts";
import { addCommit, fakeRepository, modelContents } from "../../test/support/fake-repository.ts";
import { HubUser } from "../../test/support/hub-user.ts";
import { WORLD } from "./world.ts";

async function scene(context: TestContext) {
  const repository = fakeRepository("openai-community/gpt2", modelContents());
  const hub = await FakeHub.start([repository], { aliases: { gpt2: repository.id } }, context);
  const user = new HubUser(context, hub.endpoint);
  const commit = repository.refs.get("main") ?? "";
  return { hub, repository, user, commit, folder: join(user.cache, "models--openai-community--gpt2") };
}

/** Puts files into the cache as Python's transformers does: links, a reference, and records of absent files. */
function leave(
  { repository, folder, commit }: Awaited<ReturnType<typeof scene>>,
  names: readonly string[],
  absent: readonly string[] = [],
): void {
  const write = (path: string, content: string | Buffer): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  };
  const files = repository.commits.get(commit);
  for (const name of names) {
    const { content, etag } = files?.get(name) ?? { content: Buffer.alloc(0), etag: "" };
    write(join(folder, "blobs", etag), content);
    mkdirSync(join(folder, "snapshots", commit), { recursive: true });
    symlinkSync(join("..", "..", "blobs", etag), join(folder, "snapshots", commit, name));
  }
  for (const name of absent) write(join(folder, ".no_exist", commit, name), "");
  write(join(folder, "refs", "main"), commit);
}

const CORE = ["config.json", "generation_config.json", "model.safetensors"];
const ABSENT = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

test("a complete model starts without a request, under either of its names, whatever the branch does", async (context) => {
  const scene_ = await scene(context);
  const { user, hub, repository } = scene_;
  leave(scene_, [...CORE, "tokenizer.json"], ABSENT);
  addCommit(repository, "main", modelContents(1000, 2));
  for (const name of ["gpt2", "openai-community/gpt2", "gpt2@main", `gpt2@${scene_.commit}`]) {
    const found = await user.obtain(name);
    assert.equal(found.directory, join(scene_.folder, "snapshots", scene_.commit));
    assert.deepEqual(
      [found.name, found.label],
      ["gpt2", `openai-community/gpt2 at ${scene_.commit.slice(0, 8)}`],
    );
  }
  assert.deepEqual([hub.log, user.events], [[], []]);
});

test("every form of a tokenizer will do, if those before it are known not to be there", async (context) => {
  const pair = ["vocab.json", "merges.txt"];
  const cases: [names: string[], absent: string[], isComplete: boolean][] = [
    [["tokenizer.json"], ABSENT, true],
    [["tokenizer.json"], ABSENT.slice(1), false],
    [pair, [...ABSENT, "tokenizer.json"], true],
    [pair, ABSENT, false],
    [["vocab.json"], [...ABSENT, "tokenizer.json"], false],
    [[], [...ABSENT, "tokenizer.json", ...pair, "encoder.json", "vocab.bpe"], true],
    [[], [...ABSENT, "tokenizer.json", ...pair], false],
  ];
  for (const [names, absent, isComplete] of cases) {
    const scene_ = await scene(context);
    leave(scene_, [...CORE, ...names], absent);
    await scene_.user.obtain("gpt2");
    assert.equal(scene_.hub.log.length === 0, isComplete, names.join());
    scene_.hub.log.length = 0;
    await scene_.user.obtain("gpt2");
    assert.equal(scene_.hub.log.length, 0, "the second time");
  }
});

test("newer Pythons' list of a commit proves absence too", async (context) => {
  const scene_ = await scene(context);
  leave(scene_, [...CORE, "tokenizer.json"]);
  const trees = join(scene_.folder, "trees");
  mkdirSync(trees);
  const tree = (value: unknown): void =>
    writeFileSync(join(trees, `${scene_.commit}.json`), JSON.stringify(value));
  tree({ format_version: 2, files: {} });
  const offline = { offline: "HF_HUB_OFFLINE" };
  await scene_.user.obtain("gpt2", undefined, offline);
  assert.equal(scene_.user.notices.length, 1);
  tree({ format_version: 1, files: { "tokenizer_config.json": {} } });
  await scene_.user.obtain("gpt2", undefined, offline);
  assert.match(
    scene_.user.notices[1] ?? "",
    /which lacks files that the repository may have: tokenizer_config\.json$/,
  );
  tree({ format_version: 1, files: { "config.json": {} } });
  await scene_.user.obtain("gpt2", undefined, offline);
  assert.equal(scene_.user.notices.length, 2);
  assert.deepEqual(scene_.hub.log, []);
});

test("what is incomplete is completed at its own commit; only what is missing is fetched", async (context) => {
  const scene_ = await scene(context);
  const { user, hub, repository, commit, folder } = scene_;
  leave(scene_, [...CORE, "tokenizer.json"]);
  addCommit(repository, "main", modelContents(1000, 2));
  const { directory } = await user.obtain("gpt2");
  assert.equal(directory, join(folder, "snapshots", commit));
  assert.equal(readFileSync(join(folder, "refs", "main"), "utf8"), commit);
  assert.deepEqual(hub.asked("cdn"), []);
  rmSync(join(folder, "snapshots", commit, "model.safetensors"));
  await user.obtain("gpt2");
  // A snapshot that cannot be loaded is not completed: the branch's newest commit is fetched.
  assert.notEqual(readFileSync(join(user.cache, "models--gpt2", "refs", "main"), "utf8"), commit);
});

test("a hub that cannot be asked does not keep a model that can be loaded from starting", async (context) => {
  const scene_ = await scene(context);
  leave(scene_, [...CORE, "tokenizer.json"]);
  scene_.hub.fail({ on: "api", times: 99, answer: { status: 429, headers: { ratelimit: '"a";r=0;t=999' } } });
  const { directory } = await scene_.user.obtain("gpt2");
  assert.equal(directory, join(scene_.folder, "snapshots", scene_.commit));
  assert.match(
    scene_.user.notices.at(-1) ?? "",
    /^the hub's rate limit is reached; it ends in 1000 s; .*; openai-community\/gpt2 at [0-9a-f]{8} is used as it is in the cache, which lacks files that the repository may have: tokenizer_config\.json, /,
  );
});

test("offline nothing is asked, and what is missing is named with what to do", async (context) => {
  const scene_ = await scene(context);
  const { user, hub } = scene_;
  const offline = { offline: "HF_HUB_OFFLINE" };
  await assert.rejects(user.obtain("gpt2@v2", undefined, offline), {
    code: "model_not_cached",
    message: `gpt2 (v2) is not in ${user.cache}, and HF_HUB_OFFLINE forbids fetching; run gpt2-api pull gpt2@v2 online`,
  });
  leave(scene_, ["config.json", "vocab.json"]);
  await assert.rejects(user.obtain("gpt2", undefined, offline), {
    code: "model_not_cached",
    message: `gpt2 is not complete in ${user.cache}: model.safetensors, tokenizer.json missing, and HF_HUB_OFFLINE forbids fetching; run gpt2-api pull gpt2 online`,
  });
  await assert.rejects(user.pull("gpt2", undefined, offline), { code: "model_not_cached" });
  await user.pull("gpt2");
  const numAsked = hub.log.length;
  user.events.length = 0;
  await user.pull("gpt2", undefined, offline);
  assert.deepEqual(user.notices, ["HF_HUB_OFFLINE forbids asking the hub for news"]);
  assert.equal(hub.log.length, numAsked);
});

test("weights in parts are complete with all of their parts", async (context) => {
  const scene_ = await scene(context);
  const { repository, user } = scene_;
  const index = JSON.stringify({ weight_map: { a: "one.safetensors", b: "two.safetensors" } });
  const contents = { ...modelContents(), "one.safetensors": "1", "two.safetensors": "2" };
  const commit = addCommit(repository, "main", { ...contents, "model.safetensors.index.json": index });
  const parts = ["model.safetensors.index.json", "one.safetensors"];
  leave({ ...scene_, commit }, ["config.json", "generation_config.json", "tokenizer.json", ...parts], ABSENT);
  await assert.rejects(user.obtain("gpt2", undefined, { offline: "--offline" }), {
    message: /: two\.safetensors missing, and --offline forbids/,
  });
  leave({ ...scene_, commit }, ["two.safetensors"]);
  await user.obtain("gpt2", undefined, { offline: "--offline" });
  assert.deepEqual(user.notices, []);
});

test("a signal ends a download within its piece, says where it stopped, and the next one goes on there", async (context) => {
  const { user, hub } = await scene(context);
  const controller = new AbortController();
  hub.fail({ on: "cdn", body: { pieces: 50_000, beforePiece: () => new Promise(() => {}) } });
  user.onBytes = () => {
    if (user.events.at(-1)?.kind === "progress" && hub.asked("cdn").length > 0)
      controller.abort(new Error("stopped"));
  };
  await assert.rejects(user.pull("gpt2", controller.signal), /^Error: stopped$/);
  assert.deepEqual(user.notices, [
    "stopped at 0.0 of 0.2 MB of model.safetensors; the same command continues there",
  ]);
  user.onBytes = () => {};
  await user.pull("gpt2");
  assert.equal(hub.asked("cdn").length, 2);
  assert.match(hub.asked("cdn")[1] ?? "", / bytes=50000-$/);
});

test("a signal ends a wait and a request that is not answered, too", async (context) => {
  const waiting = WORLD.wait(1e6, AbortSignal.timeout(1));
  await assert.rejects(waiting, { name: "TimeoutError" });
  const { user, hub } = await scene(context);
  for (const fault of [
    { on: "api", isSilent: true },
    { on: "cdn", body: { stallAt: 10 } },
  ] as const) {
    const controller = new AbortController();
    hub.fail(fault);
    hub.onRequest = ({ place }) => {
      if (place === fault.on) setImmediate(() => controller.abort(new Error("stopped")));
    };
    await assert.rejects(user.pull("gpt2", controller.signal), /^Error: stopped$/);
    hub.onRequest = () => {};
  }
});
