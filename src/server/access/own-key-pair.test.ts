import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs, {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadCredential, requireKept } from "./own-key-pair.ts";

const MODULE = new URL("./own-key-pair.js", import.meta.url).href;

function cacheDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** A stored pair and its path. */
function keptIn(env: Record<string, string>) {
  const { credential, place } = loadCredential(env);
  assert.equal(place.kind, "file");
  return { credential, path: place.path };
}

/** Replaces a function of node:fs until the test ends or it is restored. */
function replaced(
  context: TestContext,
  name: "linkSync" | "writeFileSync",
  by: (...args: never[]) => unknown,
) {
  const mock = context.mock.method(fs, name, by as never);
  syncBuiltinESMExports();
  const restore = (): void => {
    mock.mock.restore();
    syncBuiltinESMExports();
  };
  context.after(restore);
  return restore;
}

test("a key pair in the environment is used, and no file is made", (context) => {
  const env = {
    XDG_CACHE_HOME: cacheDirectory(context),
    AWS_ACCESS_KEY_ID: "ID",
    AWS_SECRET_ACCESS_KEY: "secret",
  };
  const loaded = loadCredential(env);
  assert.deepEqual(loaded, {
    credential: { accessKeyId: "ID", secretAccessKey: "secret" },
    place: { kind: "environment" },
  });
  assert.equal(requireKept(loaded), loaded.credential);
  assert.equal(loadCredential({ ...env, AWS_SESSION_TOKEN: "token" }).credential.sessionToken, "token");
  assert.deepEqual(readdirSync(env.XDG_CACHE_HOME), []);
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

test("without one a pair is made once, stored readable by its owner only, and used again", (context) => {
  const env = { XDG_CACHE_HOME: join(cacheDirectory(context), "cache") };
  const { credential, path } = keptIn(env);
  assert.match(credential.accessKeyId, /^[A-Z0-9]{20}$/);
  assert.match(credential.secretAccessKey, /^[\w-]{40}$/);
  assert.equal(path, join(env.XDG_CACHE_HOME, "gpt2-api", "credentials.json"));
  assert.deepEqual(JSON.parse(readFileSync(path, "utf8")), credential);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(dirname(path)), ["credentials.json"]);
  assert.deepEqual(keptIn(env).credential, credential);
  assert.equal(requireKept(loadCredential(env)).accessKeyId, credential.accessKeyId);
  assert.notDeepEqual(loadCredential({ XDG_CACHE_HOME: cacheDirectory(context) }).credential, credential);
});

test("many first starts at once all get the same pair", async (context) => {
  const cache = cacheDirectory(context);
  const module = new URL("./own-key-pair.js", import.meta.url).href;
  const script = `
    import { loadCredential } from ${JSON.stringify(module)};
    process.stdout.write("ready\\n");
    process.stdin.once("data", () => {
      process.stdout.write(JSON.stringify(loadCredential(process.env)));
      process.exit();
    });`;
  const starts = Array.from({ length: 12 }, () =>
    spawn(process.execPath, ["--input-type=module", "-e", script], {
      env: { XDG_CACHE_HOME: cache },
      stdio: ["pipe", "pipe", "inherit"],
    }),
  );
  const outputs = starts.map((child) => {
    let text = "";
    const { promise: ready, resolve } = withResolvers<void>();
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.startsWith("ready\n")) resolve();
    });
    const ended = new Promise<string>((done) => child.once("close", () => done(text.replace("ready\n", ""))));
    return { ready, ended };
  });
  await Promise.all(outputs.map(({ ready }) => ready));
  for (const child of starts) child.stdin.write("go");
  const pairs = await Promise.all(outputs.map(({ ended }) => ended));
  assert.equal(new Set(pairs).size, 1, pairs.join("\n"));
  assert.equal(JSON.parse(pairs[0] ?? "").place.kind, "file");
  assert.deepEqual(readdirSync(join(cache, "gpt2-api")), ["credentials.json"]);
});

function withResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

test("a start that loses the race takes the winner's pair, and replaces nothing", (context) => {
  const env = { XDG_CACHE_HOME: cacheDirectory(context) };
  const other = { accessKeyId: "OTHER", secretAccessKey: "other" };
  const link = fs.linkSync;
  replaced(context, "linkSync", (from: string, to: string) => {
    assert.deepEqual(Object.keys(JSON.parse(readFileSync(from, "utf8"))), ["accessKeyId", "secretAccessKey"]);
    assert.equal(lstatSync(from).mode & 0o777, 0o600);
    writeFileSync(to, JSON.stringify(other), { mode: 0o600 });
    link(from, to);
  });
  const { credential, path } = keptIn(env);
  assert.deepEqual(credential, other);
  assert.deepEqual(readdirSync(dirname(path)), ["credentials.json"]);
});

test("a file that others can use, or without a pair, is refused by name", (context) => {
  const env = { XDG_CACHE_HOME: cacheDirectory(context) };
  const { path } = keptIn(env);
  for (const mode of [0o644, 0o640, 0o620, 0o602, 0o604]) {
    chmodSync(path, mode);
    assert.throws(() => loadCredential(env), {
      code: "invalid_config",
      message: /credentials\.json must be a file of this user .* \(its mode is 06\d\d\); delete it/,
    });
  }
  chmodSync(path, 0o600);
  for (const content of ["", "{}", '{"accessKeyId": "A", "secretAccessKey": 5}']) {
    writeFileSync(path, content);
    assert.throws(() => loadCredential(env), {
      code: "invalid_config",
      message: /credentials\.json does not hold a key pair; delete it/,
    });
  }
  // A link is refused even if it leads to a file of this user: somebody else may have made it.
  writeFileSync(path, JSON.stringify({ accessKeyId: "A", secretAccessKey: "B" }));
  renameSync(path, `${path}.real`);
  symlinkSync(`${path}.real`, path);
  assert.throws(() => loadCredential(env), { code: "invalid_config", message: /cannot be read \(ELOOP/ });
  rmSync(path);
  if (spawnSync("mkfifo", ["-m", "600", path]).status === 0) {
    // A named pipe that nobody writes to is not waited for.
    const run = spawnSync(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `(await import(${JSON.stringify(MODULE)})).loadCredential(process.env)`,
      ],
      { env, encoding: "utf8", timeout: 30_000 },
    );
    assert.match(run.stderr, /must be a file of this user/);
    rmSync(path);
  }
  mkdirSync(path);
  assert.throws(() => loadCredential(env), {
    code: "invalid_config",
    message: /must be a file of this user/,
  });
});

test("a pair that cannot be stored is for this run only, and no file is left behind", (context) => {
  const env = { XDG_CACHE_HOME: cacheDirectory(context) };
  const restore = replaced(context, "writeFileSync", () => {
    throw new Error("ENOSPC: no space left on device, write");
  });
  const loaded = loadCredential(env);
  const { place } = loaded;
  assert.match(place.kind === "nowhere" ? place.reason : "", /credentials\.json could not be stored: ENOSPC/);
  assert.throws(() => requireKept(loaded), {
    code: "invalid_config",
    message: /^A key pair cannot be stored \(.*ENOSPC.*\); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY$/,
  });
  assert.notDeepEqual(loadCredential(env).credential, loaded.credential);
  assert.deepEqual(readdirSync(join(env.XDG_CACHE_HOME, "gpt2-api")), []);
  restore();
  assert.equal(keptIn(env).credential.accessKeyId.length, 20);
});

test("a folder that others can write to is neither read nor written", (context) => {
  const env = { XDG_CACHE_HOME: cacheDirectory(context) };
  const { credential, path } = keptIn(env);
  chmodSync(dirname(path), 0o770);
  const loaded = loadCredential(env);
  assert.match(loaded.place.kind === "nowhere" ? loaded.place.reason : "", /gpt2-api is open to others/);
  assert.notDeepEqual(loaded.credential, credential);
  assert.deepEqual(readdirSync(dirname(path)), ["credentials.json"]);
});

test("without a home folder nothing is written anywhere", (context) => {
  const here = cacheDirectory(context);
  const before = process.cwd();
  process.chdir(here);
  context.after(() => process.chdir(before));
  for (const HOME of ["", "home", "."]) {
    const { place } = loadCredential({ HOME, XDG_CACHE_HOME: "cache" });
    assert.match(place.kind === "nowhere" ? place.reason : "", /^HOME is/);
  }
  assert.deepEqual(readdirSync(here), []);
  assert.equal(existsSync(join(here, "gpt2-api")), false);
});
