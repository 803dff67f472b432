// What `pull` writes to the cache, in which order, and which files it fetches again.
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeHub } from "../../test/support/fake-hub.ts";
import {
  addCommit,
  type FakeRepository,
  fakeRepository,
  GPT2_CONFIG,
  modelContents,
  seededBytes,
} from "../../test/support/fake-repository.ts";
import { HubUser, type HubUserOptions } from "../../test/support/hub-user.ts";

type Contents = Parameters<typeof fakeRepository>[1];

async function scene(
  context: TestContext,
  contents: Contents = modelContents(),
  options: HubUserOptions = {},
) {
  const repository = fakeRepository("openai-community/gpt2", contents);
  const hub = await FakeHub.start([repository], { aliases: { gpt2: repository.id } }, context);
  return { hub, repository, user: new HubUser(context, hub.endpoint, options) };
}

const commitOf = (repository: FakeRepository, ref = "main"): string => repository.refs.get(ref) ?? "";
const etagOf = (repository: FakeRepository, name: string): string =>
  repository.commits.get(commitOf(repository))?.get(name)?.etag ?? "";

test("the cache is laid out as Python does it", async (context) => {
  const { user, repository } = await scene(context);
  const { directory, name, label } = await user.pull("openai-community/gpt2");
  const folder = join(user.cache, "models--openai-community--gpt2");
  const commit = commitOf(repository);
  assert.equal(directory, join(folder, "snapshots", commit));
  assert.deepEqual([name, label], ["gpt2", `openai-community/gpt2 at ${commit.slice(0, 8)}`]);
  assert.equal(readFileSync(join(folder, "refs", "main"), "utf8"), commit);
  const fetched = [
    "config.json",
    "generation_config.json",
    "merges.txt",
    "model.safetensors",
    "tokenizer.json",
    "vocab.json",
  ];
  assert.deepEqual(readdirSync(directory).sort(), fetched);
  for (const file of fetched) {
    const etag = etagOf(repository, file);
    assert.equal(readlinkSync(join(directory, file)), join("..", "..", "blobs", etag));
    const blob = lstatSync(join(folder, "blobs", etag));
    assert.equal(blob.mode & 0o777, 0o666 & ~process.umask());
  }
  assert.deepEqual(
    readdirSync(join(folder, "blobs")).sort(),
    fetched.map((file) => etagOf(repository, file)).sort(),
  );
  const absent = [
    "added_tokens.json",
    "encoder.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "vocab.bpe",
  ];
  const others = ["model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];
  assert.deepEqual(readdirSync(join(folder, ".no_exist", commit)).sort(), [...absent, ...others].sort());
  for (const file of absent) assert.equal(statSync(join(folder, ".no_exist", commit, file)).size, 0);
  // There is nothing else in the repository's folder, and nothing beside the folder.
  assert.deepEqual(readdirSync(folder).sort(), [".no_exist", "blobs", "refs", "snapshots"]);
  assert.deepEqual(readdirSync(user.cache), ["models--openai-community--gpt2"]);
});

test("a revision may be a branch, a reference or a commit, and only names of branches are kept as references", async (context) => {
  const { user, hub, repository } = await scene(context);
  const commit = addCommit(repository, "refs/pr/1", modelContents(1000, 2));
  assert.ok((await user.pull("gpt2@refs/pr/1")).directory.endsWith(commit));
  assert.equal(readFileSync(join(user.cache, "models--gpt2", "refs", "refs", "pr", "1"), "utf8"), commit);
  assert.ok(hub.log.some(({ url }) => url.endsWith("/revision/refs%2Fpr%2F1")));
  hub.log.length = 0;
  const first = commitOf(repository);
  assert.ok((await user.pull(`gpt2@${first}`)).directory.endsWith(first));
  assert.ok(!hub.asked("api").some((line) => line.includes("/revision/")));
  assert.deepEqual(readdirSync(join(user.cache, "models--gpt2", "refs")), ["refs"]);
});

test("a second pull fetches nothing, a moved branch only what is new, and the old state stays", async (context) => {
  const { user, hub, repository } = await scene(context);
  const before = await user.pull("gpt2");
  hub.log.length = 0;
  await user.pull("gpt2");
  assert.deepEqual(hub.asked("resolve"), []);
  const commit = addCommit(repository, "main", { ...modelContents(), "tokenizer_config.json": "{}" });
  const after = await user.pull("gpt2");
  assert.ok(after.directory.endsWith(commit));
  assert.deepEqual(
    hub.asked("resolve").filter((line) => !line.includes("resolve-cache")),
    [`GET /openai-community/gpt2/resolve/${commit}/tokenizer_config.json`],
  );
  assert.ok(existsSync(join(before.directory, "model.safetensors")));
});

test("what is damaged in the cache is found, told and replaced; a store that others share is not written to", async (context) => {
  const { user, repository } = await scene(context);
  const { directory } = await user.pull("gpt2");
  const blob = join(user.cache, "models--gpt2", "blobs", etagOf(repository, "model.safetensors"));
  const right = readFileSync(blob);
  const shared = join(user.cache, "blobs", "ab", "cd");
  mkdirSync(join(shared, ".."), { recursive: true });
  writeFileSync(shared, "damaged");
  rmSync(blob);
  symlinkSync(join("..", "..", "blobs", "ab", "cd"), blob);
  await user.pull("gpt2");
  assert.deepEqual(readFileSync(join(directory, "model.safetensors")), right);
  assert.equal(readFileSync(shared, "utf8"), "damaged");
  assert.ok(lstatSync(blob).isFile());
  assert.deepEqual(user.notices, ["model.safetensors is damaged in the cache; it is fetched again"]);
});

test("under its other name the same model needs neither requests for its weights nor room", async (context) => {
  let free = 1e12;
  const world = { freeBytes: async () => free };
  const { user, hub, repository } = await scene(context, modelContents(), { world });
  await user.pull("gpt2");
  hub.log.length = 0;
  free = 0;
  const { directory } = await user.pull("openai-community/gpt2");
  free = 1e12;
  assert.deepEqual(hub.asked("resolve"), []);
  const last = user.events.findLast(({ kind }) => kind === "end");
  assert.deepEqual(last?.kind === "end" && last.size, 0);
  assert.ok(directory.includes("models--openai-community--gpt2"));
  assert.equal(statSync(join(directory, "model.safetensors")).nlink, 2);
  // A damaged blob of the twin is not used.
  writeFileSync(join(user.cache, "models--gpt2", "blobs", etagOf(repository, "vocab.json")), '{"b": 0}');
  rmSync(join(user.cache, "models--openai-community--gpt2"), { recursive: true });
  await user.pull("openai-community/gpt2");
  assert.equal(readFileSync(join(directory, "vocab.json"), "utf8"), '{"a": 0}');
});

test("a blob that no snapshot has yet is hashed and linked", async (context) => {
  const { user, hub, repository } = await scene(context);
  const blobs = join(user.cache, "models--gpt2", "blobs");
  mkdirSync(blobs, { recursive: true });
  writeFileSync(
    join(blobs, etagOf(repository, "model.safetensors")),
    modelContents()["model.safetensors"] ?? "",
  );
  writeFileSync(join(blobs, etagOf(repository, "vocab.json")), '{"b": 0}');
  const { directory } = await user.pull("gpt2");
  assert.deepEqual(hub.asked("cdn"), []);
  assert.equal(readFileSync(join(directory, "vocab.json"), "utf8"), '{"a": 0}');
});

test("without symbolic links the files lie in the snapshot alone", async (context) => {
  const { user } = await scene(context, modelContents(), { env: { HF_HUB_DISABLE_SYMLINKS: "1" } });
  const { directory } = await user.pull("gpt2");
  for (const name of readdirSync(directory)) assert.ok(lstatSync(join(directory, name)).isFile(), name);
  assert.deepEqual(readdirSync(join(user.cache, "models--gpt2", "blobs")), []);
  writeFileSync(join(directory, "vocab.json"), "damaged");
  await user.pull("gpt2");
  assert.equal(readFileSync(join(directory, "vocab.json"), "utf8"), '{"a": 0}');
});

test("weights in parts come with all parts, or not at all", async (context) => {
  const { "model.safetensors": weights, ...others } = modelContents();
  const index = (parts: readonly string[]): string =>
    JSON.stringify({ weight_map: Object.fromEntries(parts.map((part, i) => [`t${i}`, part])) });
  const parts = { "model-1.safetensors": seededBytes(5000, 1), "model-2.safetensors": seededBytes(6000, 2) };
  const contents = { ...others, ...parts, "model.safetensors.index.json": index(Object.keys(parts)) };
  const { user } = await scene(context, contents);
  const { directory } = await user.pull("gpt2");
  for (const [name, content] of Object.entries(parts))
    assert.deepEqual(readFileSync(join(directory, name)), content);
  const begin = user.events.find(({ kind }) => kind === "begin");
  assert.deepEqual(begin?.kind === "begin" && [begin.numFiles, begin.numPresent], [8, 0]);
  for (const [names, message] of [
    [["model-1.safetensors", "model-3.safetensors"], /names model-3\.safetensors, which is not there$/],
    [["../model-1.safetensors"], /its model\.safetensors\.index\.json has no weight_map of files beside it$/],
    [[], /has no weight_map of files beside it$/],
  ] as const) {
    const broken = await scene(context, { ...contents, "model.safetensors.index.json": index(names) });
    await assert.rejects(broken.user.pull("gpt2"), { code: "invalid_checkpoint", message });
    assert.deepEqual(broken.hub.asked("cdn"), []);
  }
});

test("the best of the weights is taken, and the tokenizer's old names only where there are no new ones", async (context) => {
  const bin = seededBytes(1000, 3);
  const {
    "model.safetensors": weights = "",
    "tokenizer.json": json = "",
    "vocab.json": vocab = "",
    ...others
  } = modelContents();
  const old = { "encoder.json": "{}", "vocab.bpe": "" };
  const cases: [contents: Contents, wanted: string[], notWanted: string[]][] = [
    [
      { ...modelContents(), "pytorch_model.bin": bin, ...old },
      ["model.safetensors"],
      ["pytorch_model.bin", "encoder.json"],
    ],
    [
      { ...others, ...old, "pytorch_model.bin": bin, "x.bin": bin },
      ["pytorch_model.bin", "encoder.json", "vocab.bpe", "merges.txt"],
      ["x.bin"],
    ],
    [
      { ...others, "vocab.json": vocab, "pytorch_model.bin": bin, ...old },
      ["vocab.json", "merges.txt"],
      ["encoder.json"],
    ],
  ];
  for (const [contents, wanted, notWanted] of cases) {
    const { user } = await scene(context, contents);
    const files = readdirSync((await user.pull("gpt2")).directory);
    for (const name of wanted) assert.ok(files.includes(name), name);
    for (const name of notWanted) assert.ok(!files.includes(name), name);
  }
});

test("what is no GPT-2 is refused before its weights are fetched, with what it is", async (context) => {
  const config = { "config.json": GPT2_CONFIG };
  const weights = { "model.safetensors": seededBytes(1000, 1) };
  const cases: [contents: Contents, message: RegExp][] = [
    [
      { ...weights, "config.json": '{"model_type": "llama"}' },
      /^openai-community\/gpt2 at [0-9a-f]{8} cannot be used: model_type is "llama"$/,
    ],
    [{ ...weights, "config.json": '{"hidden_size": 5}' }, /model_type is ""$/],
    [{ ...weights, "config.json": "[]" }, /its config\.json is not a JSON object$/],
    [{ ...weights, "config.json": "{" }, /its config\.json is not a JSON object$/],
    [weights, /it has no config\.json$/],
    [{ ...config, "a.gguf": "x" }, /it has only GGUF files$/],
    [{ ...config, "tf_model.h5": "x" }, /it has only weights for TensorFlow or Flax$/],
    [{ ...config, "model.ckpt.index": "x" }, /it has only weights for TensorFlow$/],
    [{ "adapter_config.json": "{}" }, /it is an adapter/],
    [{ ...config, "onnx/model.onnx": "x" }, /it has none of model\.safetensors, /],
    [
      { ...weights, "config.json": `${GPT2_CONFIG}${" ".repeat(1_000_000)}` },
      /its config\.json has 1\d{6} bytes, and at most 1000000 are read$/,
    ],
  ];
  for (const [contents, message] of cases) {
    const { user, hub } = await scene(context, contents);
    await assert.rejects(user.pull("gpt2"), { code: "invalid_checkpoint", message });
    assert.deepEqual(hub.asked("cdn"), []);
    assert.ok(!existsSync(join(user.cache, "models--gpt2", "refs")));
  }
  const old = await scene(context, { ...weights, "config.json": '{"n_head": 12}', "vocab.txt": "a" });
  await old.user.pull("gpt2");
  assert.match(
    old.user.notices.join(),
    /has no tokenizer that can be read .*: it reads and writes token ids only$/,
  );
});

test("empty files and strange names among the others do no harm", async (context) => {
  const contents = { ...modelContents(), "added_tokens.json": "", "a b#c?.txt": "x", "%2e%2e": "x" };
  const { user } = await scene(context, contents);
  const { directory } = await user.pull("gpt2");
  assert.equal(statSync(join(directory, "added_tokens.json")).size, 0);
  assert.ok(!existsSync(join(directory, "a b#c?.txt")));
});

test("a disk without room is refused before a large byte, with both numbers", async (context) => {
  const world = { freeBytes: async () => 30_000_000 };
  const { user, hub } = await scene(context, modelContents(300_000), { world });
  await assert.rejects(user.pull("gpt2"), {
    code: "download_failed",
    message: `${user.cache} has 30 MB free, openai-community/gpt2 needs 67 MB more; free some, or set HF_HUB_CACHE to another disk`,
  });
  assert.deepEqual(hub.asked("cdn"), []);
  const unknown = await scene(context, modelContents(), { world: { freeBytes: async () => undefined } });
  await unknown.user.pull("gpt2");
});

test("a disk that fills up meanwhile gets back what was written", async (context) => {
  for (const code of ["ENOSPC", "EDQUOT"]) {
    const scene_ = await scene(context, modelContents());
    const { world } = scene_.user;
    const full: HubUserOptions["world"] = {
      open: async (path, flags) => {
        const handle = await world.open(path, flags);
        const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<unknown>;
        const failing = async (...args: unknown[]): Promise<unknown> => {
          if (Number(args[3]) > 100_000) throw Object.assign(new Error("no space"), { code });
          return write(...args);
        };
        return Object.assign(handle, { write: failing });
      },
      freeBytes: async () => 1e9,
    };
    const user = new HubUser(context, scene_.hub.endpoint, { world: full });
    await assert.rejects(user.pull("gpt2"), {
      code: "download_failed",
      message: /MB free, .* needs 0\.2 MB more/,
    });
    const blobs = readdirSync(join(user.cache, "models--gpt2", "blobs"));
    assert.ok(!blobs.some((name) => name.includes("incomplete")), blobs.join());
  }
});

test("a cache that is only read serves what is complete, and says why it cannot take more", async (context) => {
  const { user, repository } = await scene(context);
  const { directory } = await user.pull("gpt2");
  const folder = join(user.cache, "models--gpt2");
  // Root may write everywhere, so permissions cannot stop it. A file in place of a folder does.
  rmSync(join(folder, ".no_exist"), { recursive: true });
  writeFileSync(join(folder, ".no_exist"), "");
  assert.equal((await user.pull("gpt2")).directory, directory);
  assert.match(user.notices.join(), /models--gpt2 cannot be written: .*; HF_HUB_CACHE names another folder$/);
  addCommit(repository, "main", modelContents(1000, 5));
  chmodSync(folder, 0o755);
  rmSync(join(folder, "snapshots"), { recursive: true });
  writeFileSync(join(folder, "snapshots"), "");
  await assert.rejects(user.pull("gpt2"), {
    code: "download_failed",
    message: /models--gpt2 cannot be written: E/,
  });
});
