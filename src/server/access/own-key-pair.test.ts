import assert from "node:assert/strict";
import fs, { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { credentialsPath, loadCredential } from "./own-key-pair.ts";

function cacheDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test("a key pair in the environment is used, and no file is made", (context) => {
  const env = {
    XDG_CACHE_HOME: cacheDirectory(context),
    AWS_ACCESS_KEY_ID: "ID",
    AWS_SECRET_ACCESS_KEY: "secret",
  };
  assert.deepEqual(loadCredential(env), { credential: { accessKeyId: "ID", secretAccessKey: "secret" } });
  const { credential } = loadCredential({ ...env, AWS_SESSION_TOKEN: "token" });
  assert.equal(credential.sessionToken, "token");
  assert.equal(statSync(credentialsPath(env), { throwIfNoEntry: false }), undefined);
});

test("half a key pair in the environment is refused", () => {
  for (const env of [
    { AWS_ACCESS_KEY_ID: "ID" },
    { AWS_SECRET_ACCESS_KEY: "s" },
    { AWS_ACCESS_KEY_ID: "ID", AWS_SECRET_ACCESS_KEY: "" },
  ]) {
    assert.throws(() => loadCredential(env), { code: "invalid_config", message: /must be set together/ });
  }
});

test("without one a pair is made once, kept for its owner alone, and used again", (context) => {
  const env = { XDG_CACHE_HOME: join(cacheDirectory(context), "cache") };
  const first = loadCredential(env);
  assert.match(first.credential.accessKeyId, /^[A-Z0-9]{20}$/);
  assert.match(first.credential.secretAccessKey, /^[\w-]{40}$/);
  assert.equal(first.path, join(env.XDG_CACHE_HOME, "gpt2-api", "credentials.json"));
  assert.deepEqual(JSON.parse(readFileSync(first.path, "utf8")), first.credential);
  assert.equal(statSync(first.path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(first.path)).mode & 0o777, 0o700);
  assert.deepEqual(loadCredential(env), first);
  assert.notDeepEqual(
    loadCredential({ XDG_CACHE_HOME: cacheDirectory(context) }).credential,
    first.credential,
  );
});

test("a file that others can read, or that holds no pair, is refused by name", (context) => {
  const env = { XDG_CACHE_HOME: cacheDirectory(context) };
  const { path = "" } = loadCredential(env);
  chmodSync(path, 0o644);
  assert.throws(() => loadCredential(env), {
    code: "invalid_config",
    message: /credentials\.json must be .* its mode is 0644$/,
  });
  chmodSync(path, 0o600);
  writeFileSync(path, "{}");
  assert.throws(() => loadCredential(env), {
    code: "invalid_config",
    message: /credentials\.json does not hold a key pair/,
  });
});

test("a full disk is named, and leaves nothing behind", (context) => {
  const env = { XDG_CACHE_HOME: cacheDirectory(context) };
  const full = context.mock.method(fs, "writeFileSync", () => {
    throw new Error("ENOSPC: no space left on device, write");
  });
  syncBuiltinESMExports();
  const message =
    /credentials\.json: a key pair could not be stored \(ENOSPC: .*\); set AWS_ACCESS_KEY_ID and/;
  assert.throws(() => loadCredential(env), { code: "invalid_config", message });
  full.mock.restore();
  syncBuiltinESMExports();
  assert.equal(loadCredential(env).credential.accessKeyId.length, 20);
});

test("a place that cannot hold the file is named", (context) => {
  const file = join(cacheDirectory(context), "file");
  writeFileSync(file, "");
  assert.throws(() => loadCredential({ XDG_CACHE_HOME: file }), {
    code: "invalid_config",
    message: /could not be stored/,
  });
});

test("a relative XDG_CACHE_HOME is ignored", () => {
  assert.equal(credentialsPath({ XDG_CACHE_HOME: "cache" }), credentialsPath({}));
});
