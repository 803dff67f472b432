import assert from "node:assert/strict";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { cacheFolder, cachePath, warnUnfit, weightCacheOf } from "./cache-folders.ts";
import { homeFolder } from "./home-folder.ts";

function aFolder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("the cache is where XDG_CACHE_HOME says, or below the home folder; relative paths name nothing", () => {
  const places: [env: Record<string, string>, expected: string | RegExp][] = [
    [{ XDG_CACHE_HOME: "/x", HOME: "/home/me" }, "/x/gpt2-api"],
    [{ HOME: "/home/me" }, "/home/me/.cache/gpt2-api"],
    [{ XDG_CACHE_HOME: "x", HOME: "/home/me" }, "/home/me/.cache/gpt2-api"],
    [{ XDG_CACHE_HOME: "", HOME: "/home/me" }, "/home/me/.cache/gpt2-api"],
    [{ XDG_CACHE_HOME: "/x", HOME: "" }, "/x/gpt2-api"],
    [{ HOME: "" }, /^HOME is empty$/],
    [{ HOME: "home/me" }, /^HOME is no absolute path$/],
    [{ XDG_CACHE_HOME: "x", HOME: "." }, /^HOME is no absolute path$/],
  ];
  for (const [env, expected] of places) {
    const found = cachePath(env);
    if (typeof expected === "string") assert.deepEqual(found, { path: expected });
    else assert.match("reason" in found ? found.reason : "", expected);
  }
  assert.deepEqual(homeFolder({}), { path: homedir() });
});

test("folders are private, and so is the one above them", (context) => {
  const XDG_CACHE_HOME = aFolder(context);
  const cache = join(XDG_CACHE_HOME, "gpt2-api");
  assert.deepEqual(cacheFolder({ XDG_CACHE_HOME }, "code"), { path: join(cache, "code") });
  assert.deepEqual(cacheFolder({ XDG_CACHE_HOME }, "keys"), { path: cache });
  for (const each of [cache, join(cache, "code")]) assert.equal(lstatSync(each).mode & 0o777, 0o700);
  chmodSync(cache, 0o750);
  for (const part of ["keys", "weights", "code"] as const) {
    const unfit = cacheFolder({ XDG_CACHE_HOME }, part);
    assert.match("reason" in unfit ? unfit.reason : "", /gpt2-api is open to others \(mode 0750\)$/);
  }
});

test("where weights cannot be kept, that is said once; where they are not wanted, nothing", (context) => {
  const XDG_CACHE_HOME = aFolder(context);
  const told: string[] = [];
  const cacheOf = (weightCacheMb: number) =>
    weightCacheOf({ ...DEFAULT_SETTINGS, weightCacheMb }, { XDG_CACHE_HOME }, (message) =>
      told.push(message),
    );
  const weights = join(XDG_CACHE_HOME, "gpt2-api", "weights");
  mkdirSync(weights, { recursive: true, mode: 0o700 });
  assert.deepEqual(cacheOf(3), { directory: weights, maxBytes: 3 * 2 ** 20 });
  chmodSync(weights, 0o777);
  assert.equal(cacheOf(0), undefined);
  assert.equal(told.length, 0);
  assert.equal(cacheOf(3), undefined);
  assert.equal(cacheOf(3), undefined);
  assert.deepEqual(told, [`Nothing is kept between starts: ${weights} is open to others (mode 0777)`]);
  warnUnfit({ reason: "another", remedy: "", isUnsafe: true }, (message) => told.push(message));
  assert.equal(told.length, 2);
});
