// The fingerprint of a checkpoint: it depends on the files that a checkpoint is loaded from, and ends whatever lies beside them.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fingerprintOf } from "./fingerprint.ts";

function aCheckpoint(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(directory, { recursive: true }));
  for (const name of ["config.json", "merges.txt", "model.safetensors"]) {
    writeFileSync(join(directory, name), name);
  }
  return directory;
}

test("it is that of the files and the precision, not of their place", async (context) => {
  const [one, other] = [aCheckpoint(context), aCheckpoint(context)];
  const print = await fingerprintOf(one, "int8");
  assert.match(print, /^fp_[0-9a-f]{12}$/);
  assert.equal(await fingerprintOf(other, "int8"), print);
  assert.notEqual(await fingerprintOf(one, "f32"), print);
  writeFileSync(join(other, "README.md"), "no part of the model");
  writeFileSync(join(other, "pytorch_model.bin"), "not loaded beside the other form");
  assert.equal(await fingerprintOf(other, "int8"), print);
  rmSync(join(other, "merges.txt"));
  cpSync(join(one, "config.json"), join(other, "merges.txt"));
  assert.notEqual(await fingerprintOf(other, "int8"), print);
});

test("pipes, devices, folders and links that lead nowhere are not read, whatever their names", {
  skip: process.platform === "win32" && "named pipes of POSIX",
  timeout: 20_000,
}, async (context) => {
  const directory = aCheckpoint(context);
  const print = await fingerprintOf(directory, "int8");
  assert.equal(spawnSync("mkfifo", [join(directory, "pipe.json")]).status, 0);
  symlinkSync("/dev/zero", join(directory, "zeros.bin"));
  symlinkSync("/dev/zero", join(directory, "zeros.safetensors"));
  symlinkSync("nowhere", join(directory, "nowhere.txt"));
  mkdirSync(join(directory, "folder.json"));
  // Under a limit, since what would be read never ends.
  assert.equal(await fingerprintOf(directory, "int8", AbortSignal.timeout(10_000)), print);
});
