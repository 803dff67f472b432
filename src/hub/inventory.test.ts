// What the command `models` finds in a cache that other programs use too, and what the command `rm` removes from it.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeHub } from "../../test/support/fake-hub.ts";
import { addCommit, fakeRepository, modelContents, seededBytes } from "../../test/support/fake-repository.ts";
import { HubUser } from "../../test/support/hub-user.ts";
import { cachedModels } from "./inventory.ts";
import { planRemoval, remove } from "./removal.ts";
import { parseRepository } from "./repository.ts";

async function scene(context: TestContext) {
  const gpt2 = fakeRepository("openai-community/gpt2", modelContents(1000, 1));
  const other = fakeRepository("owner/other", modelContents(2000, 2));
  const hub = await FakeHub.start([gpt2, other], { aliases: { gpt2: gpt2.id } }, context);
  const user = new HubUser(context, hub.endpoint);
  return { hub, gpt2, user, folder: join(user.cache, "models--openai-community--gpt2") };
}

/** Total size of the files that are fetched, in bytes. */
function bytesOf(contents: ReturnType<typeof modelContents>): number {
  const fetched = Object.entries(contents).filter(([name]) => !/README|onnx/.test(name));
  return fetched.reduce((total, [, content]) => total + content.length, 0);
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

async function removed(cache: string, name: string, revision?: string, nowMs = Date.now()) {
  const plan = await planRemoval(cache, parseRepository(name), revision);
  if (plan !== undefined) await remove(plan, nowMs);
  return plan;
}

test("GPT-2s are found by their configuration, with size, references and state; the rest is passed over", async (context) => {
  const { user, gpt2, folder } = await scene(context);
  const first = gpt2.refs.get("main") ?? "";
  await user.pull("openai-community/gpt2");
  const second = addCommit(gpt2, "main", { ...modelContents(1000, 1), "added_tokens.json": "{}" });
  await user.pull("openai-community/gpt2");
  await user.pull("owner/other");
  rmSync(join(user.cache, "models--owner--other", ".no_exist"), { recursive: true });
  write(
    join(user.cache, "models--a--llama", "snapshots", "0".repeat(40), "config.json"),
    '{"model_type": "llama"}',
  );
  write(join(user.cache, "models--a--partly", "snapshots", "1".repeat(40), "config.json"), '{"n_head": 2}');
  write(join(user.cache, "models--a--none", "snapshots", "x", "config.json"), '{"n_head": 2}');
  write(join(user.cache, "datasets--a--b", "snapshots", "0".repeat(40), "config.json"), '{"n_head": 2}');
  write(join(user.cache, "models--a--file"), "");
  write(join(user.cache, "blobs", "ab", "cd"), "");
  symlinkSync("nowhere", join(folder, "snapshots", second, "broken"));
  const models = await cachedModels(user.cache);
  assert.deepEqual(
    models.map(({ id, commit, refs, state, weights }) => ({ id, commit, refs, state, weights })),
    [
      { id: "a/partly", commit: "1".repeat(40), refs: [], state: "incomplete", weights: undefined },
      ...[
        { commit: first, refs: [] },
        { commit: second, refs: ["main"] },
      ]
        .sort((a, b) => (a.commit < b.commit ? -1 : 1))
        .map((facts) => ({
          id: "openai-community/gpt2",
          ...facts,
          state: "complete",
          weights: "safetensors",
        })),
      {
        id: "owner/other",
        commit: models.at(-1)?.commit,
        refs: ["main"],
        state: "usable",
        weights: "safetensors",
      },
    ],
  );
  assert.deepEqual(models[0]?.lacking.slice(0, 2), ["model.safetensors", "generation_config.json"]);
  const bytes = bytesOf(modelContents(1000, 1));
  assert.deepEqual(
    models
      .slice(1, 3)
      .map((model) => model.bytes)
      .sort(),
    [bytes, bytes + 2],
  );
  assert.deepEqual(await cachedModels(join(user.cache, "none")), []);
});

test("one snapshot goes with its references and what no other one uses", async (context) => {
  const { user, gpt2, folder } = await scene(context);
  const first = await user.pull("openai-community/gpt2");
  const contents = { ...modelContents(1000, 1), "model.safetensors": seededBytes(5000, 9) };
  addCommit(gpt2, "main", contents);
  const second = await user.pull("openai-community/gpt2");
  write(join(folder, "trees", `${second.directory.slice(-40)}.json`), "{}");
  assert.equal(await removed(user.cache, "gpt2", "none"), undefined);
  assert.equal(await removed(user.cache, "gpt2", ""), undefined);
  const plan = await removed(user.cache, "gpt2", "main");
  assert.deepEqual(
    [plan?.freedBytes, plan?.sharedBytes, plan?.refs, plan?.blobs.length],
    [5000, 0, ["main"], 1],
  );
  assert.ok(!existsSync(second.directory) && existsSync(first.directory));
  for (const name of readdirSync(first.directory)) readFileSync(join(first.directory, name));
  assert.deepEqual(readdirSync(join(folder, "trees")), []);
  assert.deepEqual(readdirSync(join(folder, ".no_exist")), [first.directory.slice(-40)]);
  // Removing the last snapshot removes the repository. The first digits of a commit are enough to name it.
  const all = await removed(user.cache, "gpt2", first.directory.slice(-40).slice(0, 8));
  assert.equal(all?.commits, undefined);
  assert.deepEqual(readdirSync(user.cache), []);
});

test("a repository goes as a whole, broken or not, and nothing of any other", async (context) => {
  const { user, folder } = await scene(context);
  await user.pull("openai-community/gpt2");
  await user.pull("owner/other");
  write(join(user.cache, ".locks", "models--openai-community--gpt2", "x.lock"), "");
  write(join(user.cache, "datasets--openai-community--gpt2", "refs", "main"), "");
  symlinkSync("nowhere", join(folder, "snapshots", "broken"));
  const plan = await removed(user.cache, "openai-community/gpt2");
  assert.equal(plan?.freedBytes, bytesOf(modelContents(1000, 1)));
  assert.deepEqual(readdirSync(user.cache).sort(), [
    ".locks",
    "datasets--openai-community--gpt2",
    "models--owner--other",
  ]);
  assert.equal(await removed(user.cache, "openai-community/gpt2"), undefined);
});

test("what another name or Python's store still holds is not counted as freed", async (context) => {
  const { user, gpt2 } = await scene(context);
  await user.pull("openai-community/gpt2");
  await user.pull("gpt2");
  assert.equal((await removed(user.cache, "gpt2"))?.freedBytes, 0);
  const etag = gpt2.commits.get(gpt2.refs.get("main") ?? "")?.get("model.safetensors")?.etag ?? "";
  const blob = join(user.cache, "models--openai-community--gpt2", "blobs", etag);
  write(join(user.cache, "blobs", "ab", "cd"), "x".repeat(1000));
  rmSync(blob);
  symlinkSync(join("..", "..", "blobs", "ab", "cd"), blob);
  const plan = await removed(user.cache, "openai-community/gpt2");
  assert.equal(plan?.sharedBytes, 1000);
  assert.ok((plan?.freedBytes ?? 1000) < 1000);
  assert.ok(existsSync(join(user.cache, "blobs", "ab", "cd")));
});

test("without links the snapshot's own files are what is freed", async (context) => {
  const { user } = await scene(context);
  await user.pull("owner/other", undefined, { useSymlinks: false });
  assert.ok(((await removed(user.cache, "owner/other"))?.freedBytes ?? 0) > 2000);
});

test("what another process is fetching stays, with its folder, until it is abandoned", async (context) => {
  const { user, folder } = await scene(context);
  await user.pull("openai-community/gpt2");
  const partial = join(folder, "blobs", `${"a".repeat(64)}.gpt2api-00000001.incomplete`);
  write(partial, "x");
  await removed(user.cache, "gpt2");
  assert.deepEqual(user.files("models--openai-community--gpt2"), [partial.slice(folder.length + 1)]);
  assert.deepEqual(readdirSync(join(folder, "snapshots")), []);
  utimesSync(partial, 1, 1);
  await removed(user.cache, "gpt2");
  assert.ok(!existsSync(folder));
});

test("a pull from which a removal takes everything away fetches it again", async (context) => {
  const { user, hub } = await scene(context);
  let numLeft = 2;
  hub.onRequest = ({ place, url }) => {
    if (place !== "cdn" || numLeft === 0 || !url.includes("gpt2")) return;
    numLeft -= 1;
    rmSync(join(user.cache, "models--gpt2"), { recursive: true, force: true });
  };
  const { directory } = await user.pull("gpt2");
  assert.equal(readdirSync(directory).length, 6);
  for (const name of readdirSync(directory)) readFileSync(join(directory, name));
  numLeft = 99;
  rmSync(join(user.cache, "models--gpt2"), { recursive: true });
  await assert.rejects(user.pull("gpt2"), { code: "download_failed", message: /another program removes/ });
});
