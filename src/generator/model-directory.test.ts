import assert from "node:assert/strict";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "../../test/support/checkpoints.ts";
import { modelName, packageRoot, placeOf, resolveModelDirectory } from "./model-directory.ts";

test("a bare name that is shipped means the shipped model; a folder of that name is reached as a path", (context) => {
  const temporary = temporaryDirectory();
  const before = process.cwd();
  context.after(() => {
    process.chdir(before);
    temporary.remove();
  });
  const own = join(realpathSync(temporary.path), "tiny");
  for (const folder of [own, join(temporary.path, "mine")]) mkdirSync(folder);
  process.chdir(temporary.path);
  assert.equal(resolveModelDirectory("tiny"), join(packageRoot(), "models", "tiny"));
  for (const path of ["./tiny", own]) assert.equal(resolveModelDirectory(path), own);
  assert.equal(resolveModelDirectory("mine"), join(realpathSync(temporary.path), "mine"));
});

test("a name that is nothing here is one on a hub, and a path never is", () => {
  assert.deepEqual(placeOf("gpt2"), { repository: { id: "gpt2", revision: "main" } });
  assert.deepEqual(placeOf("owner/name@v1"), { repository: { id: "owner/name", revision: "v1" } });
  assert.deepEqual(placeOf("https://huggingface.co/owner/name"), {
    repository: { id: "owner/name", revision: "main" },
  });
  assert.deepEqual(placeOf("~"), { directory: homedir() });
  for (const path of [
    "/no/gpt2",
    "./gpt2",
    "../gpt2",
    "~/no-such-folder",
    "owner/",
    "C:gpt2",
    "a\\b",
    ".gpt2",
  ]) {
    assert.throws(() => placeOf(path), {
      code: "invalid_checkpoint",
      message: `model ${JSON.stringify(path)}: there is no such directory`,
    });
  }
  assert.throws(() => placeOf("a b"), {
    code: "invalid_checkpoint",
    message:
      /^model "a b" is neither a directory nor a model that is shipped \("tiny"\), and "a b" cannot be looked up on a hub: a name is/,
  });
});

test("a snapshot in the hub's cache is called after its repository, and nothing else is", () => {
  const commit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";
  assert.equal(modelName(`/cache/models--openai-community--gpt2/snapshots/${commit}`), "gpt2");
  assert.equal(modelName(`/cache/models--gpt2/snapshots/${commit}/`), "gpt2");
  assert.equal(modelName(`/cache/elsewhere/snapshots/${commit}`), commit);
  assert.equal(modelName("/cache/models--gpt2/snapshots/mine"), "mine");
});

test("a checkpoint in the only folder that holds one is found, as an archive of a folder leaves it", (context) => {
  const { path, remove } = temporaryDirectory();
  context.after(() => remove());
  const inner = join(path, "my-gpt2");
  const other = join(path, "logs");
  for (const folder of [inner, other]) mkdirSync(folder);
  assert.deepEqual(placeOf(path), { directory: path });
  writeFileSync(join(inner, "config.json"), "{}");
  assert.deepEqual(placeOf(path), { directory: inner });
  writeFileSync(join(other, "config.json"), "{}");
  assert.deepEqual(placeOf(path), { directory: path }); // There are two checkpoints in it, so neither is chosen.
});
