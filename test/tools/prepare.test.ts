// The script that npm runs after an installation, without the development dependencies.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../src/generator/model-directory.ts";
import { temporaryDirectory } from "../support/checkpoints.ts";

test("without development dependencies it says so in one sentence, and keeps an earlier build", (context) => {
  const { path, remove } = temporaryDirectory();
  context.after(remove);
  const scripts = { build: "echo building" };
  const prepare = (devDependencies: object) => {
    writeFileSync(join(path, "package.json"), JSON.stringify({ devDependencies, scripts }));
    const script = join(packageRoot(), "tools", "prepare.js");
    return spawnSync(process.execPath, [script], { cwd: path, encoding: "utf8" });
  };
  const missing = prepare({ "not-installed": "1" });
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /^gpt2-api is built from its sources, .* Run: npm ci --include=dev\n$/);
  assert.match(prepare({}).stdout, /^building$/m);
  mkdirSync(join(path, "dist", "src", "cli"), { recursive: true });
  writeFileSync(join(path, "dist", "src", "cli", "main.js"), "");
  const built = prepare({ "not-installed": "1" });
  assert.deepEqual([built.status, built.stderr], [0, ""]);
  assert.match(built.stdout, /stays as it is/);
});
