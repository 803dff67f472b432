// Key files under a running server: changed, removed, unusable, wrong from the start.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { aFile } from "../../../test/support/changing-file.ts";
import { aFront, CREDENTIAL, post } from "../../../test/support/front.ts";
import { DEFAULT_SETTINGS } from "../../settings.ts";
import { apiKeyFile, keyPairFile } from "./key-files.ts";
import { loadKeys } from "./load-keys.ts";

const { accessKeyId, secretAccessKey } = CREDENTIAL;
const PAIR = { accessKeyId, secretAccessKey };
const OTHER = { accessKeyId: "OTHER", secretAccessKey };
const OPTIONS = { keyFileGraceMs: 30_000, onProblem: () => {} };

/** A runtime door with the keys of a file, on a clock that the test moves. */
function aKeyedFront(context: TestContext, content: unknown) {
  const file = aFile(context, "keys.json");
  file.write(content);
  const clock = { ms: 0 };
  const problems: string[] = [];
  const keys = keyPairFile(file.path, {
    keyFileGraceMs: 30_000,
    onProblem: (message) => problems.push(message),
    elapsed: () => clock.ms,
  });
  const keyPair = (id: string) => keys.content.get(id);
  const { app } = aFront({}, { keys: { keyPair, apiKey: () => undefined } });
  const status = async () => (await post(app, { input: "" })).statusCode;
  return { ...file, clock, problems, keys, status };
}

test("a credentials file is read again when it changes, and a removed key is refused at once", async (context) => {
  const { write, replace, status } = aKeyedFront(context, { keys: [OTHER] });
  assert.equal(await status(), 403);
  write({ keys: [OTHER, PAIR] });
  assert.equal(await status(), 200);
  replace({ keys: [OTHER] });
  assert.equal(await status(), 403);
  write(PAIR);
  assert.equal(await status(), 200);
  replace({ keys: [{ ...PAIR, endpoints: ["other"] }] });
  assert.equal(await status(), 403);
});

test("with an unusable file the last good keys stay valid for a while, and no error shows a secret", async (context) => {
  const { write, status, clock, problems } = aKeyedFront(context, { keys: [PAIR] });
  write('{"keys": [{"accessKeyId": "A", "secretAccessKey": "hush"');
  assert.equal(await status(), 200);
  write({ keys: [{ accessKeyId: "A", secretAccessKey: "hush", endpoint: "x" }] });
  assert.equal(await status(), 200);
  clock.ms = 30_000;
  assert.equal(await status(), 403);
  assert.ok(problems.length >= 3);
  for (const problem of problems) assert.match(problem, /^--credentials-file \S+keys\.json cannot be used: /);
  assert.doesNotMatch(problems.join(), /hush/);
  write({ keys: [PAIR] });
  assert.equal(await status(), 200);
});

test("a removed file revokes all of its keys", async (context) => {
  const { remove, write, status, keys } = aKeyedFront(context, { keys: [PAIR] });
  assert.equal(await status(), 200);
  remove();
  assert.equal(await status(), 403);
  assert.equal(keys.content.size, 0);
  write({ keys: [PAIR] });
  assert.equal(await status(), 200);
});

test("a key file that cannot be used from the start is refused by name", (context) => {
  const { path, write } = aFile(context, "keys.json");
  const wrong = [
    "",
    "[]",
    { keys: [{ accessKeyId }] },
    { keys: [PAIR, PAIR] },
    { keys: [{ ...PAIR, expiresAt: "x" }] },
    { keys: [{ ...PAIR, endpoints: null }] },
    { keys: [{ ...PAIR, endpoints: ["not_a_name"] }] },
    { keys: [{ ...PAIR, endpoint: ["gpt-2"] }] },
    { keys: { ...PAIR } },
  ];
  const refused = { code: "invalid_config", message: /--credentials-file \S+keys\.json cannot be used: / };
  assert.throws(() => keyPairFile(path, OPTIONS), refused);
  for (const content of wrong) {
    write(content);
    assert.throws(() => keyPairFile(path, OPTIONS), refused);
  }
  write({ keys: [{ id: "a", sha256: "short" }] });
  assert.throws(() => apiKeyFile(path, OPTIONS), {
    code: "invalid_config",
    message: /--api-keys-file .*keys\.0\.sha256/,
  });
});

test("session token, expiry and endpoints come from the file", (context) => {
  const { path, write } = aFile(context, "keys.json");
  write({
    keys: [
      { ...PAIR, sessionToken: "t", expiresAt: "2026-01-01T00:00:00Z", endpoints: ["a", "b"] },
      { ...OTHER, endpoints: [] },
      { accessKeyId: "ALL", secretAccessKey },
    ],
  });
  const { content } = keyPairFile(path, OPTIONS);
  assert.equal(content.get(accessKeyId)?.sessionToken, "t");
  assert.equal(content.get(accessKeyId)?.expiresAt?.getTime(), Date.UTC(2026, 0, 1));
  assert.deepEqual(content.get(accessKeyId)?.endpoints, new Set(["a", "b"]));
  assert.deepEqual(content.get("OTHER")?.endpoints, new Set());
  assert.equal(content.get("ALL")?.endpoints, "*");
});

test("the environment's pair is valid beside a file's, until the file has an entry for it", (context) => {
  const { path, write, remove } = aFile(context, "keys.json");
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: "of the environment" };
  write({ keys: [OTHER] });
  const settings = { ...DEFAULT_SETTINGS, credentialsFile: path };
  const { keys, files } = loadKeys(settings, env, () => {});
  const [file] = files;
  assert.equal(keys.keyPair(accessKeyId)?.secretAccessKey, "of the environment");
  assert.equal(keys.keyPair("OTHER")?.secretAccessKey, secretAccessKey);
  assert.equal(keys.keyPair("NOBODY"), undefined);
  write({ keys: [{ ...PAIR, endpoints: ["a"] }] });
  assert.deepEqual(keys.keyPair(accessKeyId), { ...PAIR, endpoints: new Set(["a"]) });
  assert.equal(keys.keyPair("OTHER"), undefined);
  write({ keys: [] });
  assert.equal(keys.keyPair(accessKeyId), undefined);
  remove();
  assert.equal(keys.keyPair(accessKeyId), undefined);
  assert.equal(file?.state.isRevoked, true);
});

test("each kind of authentication looks keys up in its own place", (context) => {
  const { path, write } = aFile(context, "keys.json");
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const load = (changes: object) => loadKeys({ ...DEFAULT_SETTINGS, ...changes }, env, () => {}).keys;
  const sha256 = "0".repeat(64);
  write({ keys: [{ id: "a", sha256 }] });
  const found = (keys: ReturnType<typeof load>) => [
    keys.keyPair(accessKeyId)?.endpoints,
    keys.apiKey(sha256)?.endpoints,
  ];
  assert.deepEqual(found(load({})), ["*", undefined]);
  assert.deepEqual(found(load({ auth: "bearer", apiKeysFile: path })), [undefined, "*"]);
  assert.deepEqual(found(load({ auth: "none" })), [undefined, undefined]);
  assert.equal(load({}).keyPair(""), undefined);
});
