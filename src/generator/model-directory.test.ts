import assert from "node:assert/strict";
import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "../../test/support/checkpoints.ts";
import { packageRoot, resolveModelDirectory } from "./model-directory.ts";

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
