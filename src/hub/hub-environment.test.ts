import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hubEnvironment } from "./hub-environment.ts";

test("the cache is where Python would have it", () => {
  const cases: [env: Record<string, string>, cache: string][] = [
    [{}, join(homedir(), ".cache", "huggingface", "hub")],
    [{ HOME: "/home/me" }, "/home/me/.cache/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ XDG_CACHE_HOME: "x" }, "x/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x", HF_HOME: "/hf" }, "/hf/hub"],
    [{ HF_HOME: "~/hf", HOME: "/home/me" }, "/home/me/hf/hub"],
    [{ HF_HOME: "~other/hf", HOME: "/home/me" }, "~other/hf/hub"],
    [{ HF_HOME: "", XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ HF_HOME: "/hf", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    [{ HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/new" }, "/new"],
    [
      {
        HF_HUB_CACHE: ["$DISK", "hub", "$", "{USER}$NONE"].join("/").replace("$/", "$"),
        DISK: "/mnt",
        USER: "me",
      },
      "/mnt/hub/me$NONE",
    ],
  ];
  for (const [env, cache] of cases) assert.equal(hubEnvironment(env).cache, cache, JSON.stringify(env));
});

test("switches are true in Python's four words only, and empty is unset", () => {
  for (const text of ["1", "on", "YES", "True"])
    assert.equal(hubEnvironment({ HF_HUB_OFFLINE: text }).offline, "HF_HUB_OFFLINE");
  for (const text of ["", "0", "2", "false", "enabled"])
    assert.equal(hubEnvironment({ HF_HUB_OFFLINE: text }).offline, undefined);
  assert.equal(hubEnvironment({ TRANSFORMERS_OFFLINE: "1" }).offline, "TRANSFORMERS_OFFLINE");
  assert.equal(hubEnvironment({ HF_HUB_DISABLE_SYMLINKS: "1" }).useSymlinks, false);
  assert.equal(hubEnvironment({}).useSymlinks, true);
  assert.equal(hubEnvironment({ HF_HUB_DISABLE_PROGRESS_BARS: "1" }).isQuiet, true);
});

test("endpoint and times; what they cannot be is named", () => {
  assert.equal(hubEnvironment({}).endpoint, "https://huggingface.co");
  assert.equal(
    hubEnvironment({ HF_ENDPOINT: "https://mirror.example/hf//" }).endpoint,
    "https://mirror.example/hf",
  );
  const times = hubEnvironment({ HF_HUB_ETAG_TIMEOUT: "3", HF_HUB_DOWNLOAD_TIMEOUT: "" });
  assert.deepEqual([times.headersTimeoutMs, times.silenceTimeoutMs], [3000, 10_000]);
  const bad: [env: Record<string, string>, message: RegExp][] = [
    [{ HF_ENDPOINT: "mirror" }, /HF_ENDPOINT must be an address .*got "mirror"/],
    [{ HF_ENDPOINT: "ftp://mirror" }, /HF_ENDPOINT must be an address/],
    [{ HF_ENDPOINT: "https://me:secret@mirror" }, /got "https:\/\/…@mirror"/],
    [
      { HF_HUB_ETAG_TIMEOUT: "soon" },
      /HF_HUB_ETAG_TIMEOUT must be a whole number of seconds from 1 to 3600, got "soon"/,
    ],
    [{ HF_HUB_DOWNLOAD_TIMEOUT: "0" }, /HF_HUB_DOWNLOAD_TIMEOUT must be .*got "0"/],
  ];
  for (const [env, message] of bad)
    assert.throws(() => hubEnvironment(env), { code: "invalid_config", message });
});

test("the token comes from a variable, then from Python's file, and says from where", (context) => {
  const home = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(home, { recursive: true }));
  const token = (env: Record<string, string>) => hubEnvironment({ HF_HOME: home, ...env }).token();
  assert.equal(token({}), undefined);
  writeFileSync(join(home, "token"), "hf_file\n");
  assert.deepEqual(token({}), { value: "hf_file", origin: `the file ${join(home, "token")}` });
  assert.deepEqual(token({ HF_TOKEN: " \r\n" })?.value, "hf_file");
  assert.deepEqual(token({ HF_TOKEN: " hf_a\n", HUGGING_FACE_HUB_TOKEN: "hf_b" }), {
    value: "hf_a",
    origin: "HF_TOKEN",
  });
  assert.deepEqual(token({ HUGGING_FACE_HUB_TOKEN: "hf_b" })?.origin, "HUGGING_FACE_HUB_TOKEN");
  assert.equal(token({ HF_TOKEN_PATH: join(home, "none") }), undefined);
  assert.equal(token({ HF_TOKEN: "hf_a", HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }), undefined);
  assert.throws(
    () => token({ HF_TOKEN: "hf_a b" }),
    (error: Error) => {
      assert.match(error.message, /the token from HF_TOKEN has 6 characters/);
      return !error.message.includes("hf_a");
    },
  );
  mkdirSync(join(home, "folder"));
  assert.throws(() => token({ HF_TOKEN_PATH: join(home, "folder") }), {
    code: "invalid_config",
    message: /cannot be read/,
  });
});
