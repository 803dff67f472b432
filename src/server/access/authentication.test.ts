import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeGenerator } from "../../../test/support/fake-generator.ts";
import { aFront, CREDENTIAL, PATH, post, STREAM_PATH, send } from "../../../test/support/front.ts";
import { apiKeysFrom, keyPairsFrom } from "./key-files.ts";

const { accessKeyId, secretAccessKey } = CREDENTIAL;

/** A file whose time of change moves on with every write, whatever the clock of the file system can tell apart. */
function aFile(context: TestContext, name: string) {
  const directory = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, name);
  let seconds = 1_000_000_000;
  const write = (content: unknown): void => {
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    seconds++;
    utimesSync(path, seconds, seconds);
  };
  return { path, write, remove: () => rmSync(path) };
}

test("a credentials file is read again when it changes; what cannot be used leaves the last good one", async (context) => {
  const { path, write, remove } = aFile(context, "keys.json");
  const problems: string[] = [];
  write({ keys: [{ accessKeyId: "OTHER", secretAccessKey }] });
  const keyPair = keyPairsFrom(path, (message) => problems.push(message));
  const { app } = aFront({}, { keys: { keyPair, apiKey: () => undefined } });
  const status = async () => (await post(app, { input: "" })).statusCode;
  assert.equal(await status(), 403);
  write({
    keys: [
      { accessKeyId: "OTHER", secretAccessKey },
      { accessKeyId, secretAccessKey },
    ],
  });
  assert.equal(await status(), 200);
  write('{"keys": [{"accessKeyId": "A", "secretAccessKey": "hush"');
  assert.equal(await status(), 200);
  write({ keys: [{ accessKeyId: "A", secretAccessKey: "hush", endpoint: "x" }] });
  assert.equal(await status(), 200);
  remove();
  assert.equal(await status(), 200);
  assert.equal(await status(), 200);
  assert.equal(problems.length, 3);
  for (const problem of problems)
    assert.match(problem, /keys\.json cannot be used, so its last good content/);
  assert.doesNotMatch(problems.join(), /hush/);
  write({ accessKeyId: "ALONE", secretAccessKey });
  assert.equal(await status(), 403);
  assert.equal(keyPair("ALONE")?.secretAccessKey, secretAccessKey);
});

test("a key file that cannot be used from the start is refused by name", (context) => {
  const { path, write } = aFile(context, "keys.json");
  const pair = { accessKeyId, secretAccessKey };
  const wrong = [
    "",
    "[]",
    { keys: [{ accessKeyId }] },
    { keys: [pair, pair] },
    { keys: [{ ...pair, expiresAt: "x" }] },
  ];
  const refused = { code: "invalid_config", message: /keys\.json cannot be used: / };
  assert.throws(() => keyPairsFrom(path, () => {}), refused);
  for (const content of wrong) {
    write(content);
    assert.throws(() => keyPairsFrom(path, () => {}), refused);
  }
  write({ keys: [{ id: "a", sha256: "short" }] });
  assert.throws(() => apiKeysFrom(path, () => {}), refused);
});

test("a session token and its end come from the file", (context) => {
  const { path, write } = aFile(context, "keys.json");
  write({ keys: [{ accessKeyId, secretAccessKey, sessionToken: "t", expiresAt: "2026-01-01T00:00:00Z" }] });
  const pair = keyPairsFrom(path, () => {})(accessKeyId);
  assert.equal(pair?.sessionToken, "t");
  assert.equal(pair?.expiresAt?.getTime(), Date.UTC(2026, 0, 1));
});

test("a key may invoke only its endpoints, and learns of others in AWS's words", async () => {
  const one = new FakeGenerator();
  const generators = new Map([
    ["gpt-2", one],
    ["other", one],
  ]);
  const keyPair = () => ({ ...CREDENTIAL, endpoints: ["gpt-2"] });
  const { app } = aFront({}, { generators, keys: { keyPair, apiKey: () => undefined } });
  assert.equal((await post(app, { input: "" })).statusCode, 200);
  for (const operation of ["invocations", "invocations-response-stream"]) {
    const denied = await post(app, { input: "" }, { path: `/endpoints/other/${operation}` });
    assert.deepEqual([denied.statusCode, denied.headers["x-amzn-errortype"]], [403, "AccessDeniedException"]);
    assert.equal(
      denied.json().message,
      "User: arn:aws:iam::000000000000:user/AKIDEXAMPLE is not authorized to perform: sagemaker:InvokeEndpoint on " +
        "resource: arn:aws:sagemaker:us-east-1:000000000000:endpoint/other because no identity-based policy allows " +
        "the sagemaker:InvokeEndpoint action",
    );
  }
  assert.equal(one.asked.length, 1);
});

test("an API key is known by its hash alone", async (context) => {
  const { path, write } = aFile(context, "api-keys.json");
  const sha256 = createHash("sha256").update("gpt2_secret").digest("hex");
  write({ keys: [{ id: "alice", sha256, endpoints: ["gpt-2"] }] });
  const keys = { keyPair: () => undefined, apiKey: apiKeysFrom(path, () => {}) };
  const lines: string[] = [];
  const logger = { level: "info", stream: { write: (line: string) => lines.push(line) } };
  const { app } = aFront({ auth: "bearer" }, { keys, logger });
  const request = async (url: string, authorization?: string) => {
    const headers = authorization === undefined ? {} : { authorization };
    const response = await send(app, { method: "POST", url, headers, payload: '{"input":""}' });
    return [response.statusCode, response.headers["x-amzn-errortype"]];
  };
  assert.deepEqual(await request(PATH, "Bearer gpt2_secret"), [200, undefined]);
  assert.deepEqual(await request(STREAM_PATH, "bearer gpt2_secret"), [200, undefined]);
  assert.equal(JSON.parse(lines[0] ?? "").keyId, "alice");
  assert.doesNotMatch(lines.join(), /gpt2_secret/);
  assert.deepEqual(await request(PATH), [403, "MissingAuthenticationTokenException"]);
  for (const wrong of ["Bearer other", "Bearer ", `Bearer ${sha256}`, "Basic gpt2_secret"]) {
    assert.deepEqual(await request(PATH, wrong), [403, "UnrecognizedClientException"]);
  }
  assert.deepEqual(await request("/endpoints/x/invocations", "Bearer gpt2_secret"), [
    403,
    "AccessDeniedException",
  ]);
});

test("without authentication nothing is asked for", async () => {
  const { app } = aFront({ auth: "none" });
  const response = await send(app, { method: "POST", url: PATH, payload: '{"input":""}' });
  assert.equal(response.statusCode, 200);
});

test("a signature that does not match is explained only where the operator wants it", async () => {
  for (const debugSignature of [false, true]) {
    const { app } = aFront({ debugSignature });
    const credential = { accessKeyId, secretAccessKey: "wrong" };
    const { message } = (await post(app, { input: "" }, { credential })).json();
    assert.equal(
      /The Canonical String for this request should have been\n'POST\n/.test(message),
      debugSignature,
    );
    assert.equal(/The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n/.test(message), debugSignature);
    const unknown = await post(app, { input: "" }, { credential: { ...credential, accessKeyId: "NOBODY" } });
    assert.doesNotMatch(unknown.json().message, /Canonical/);
  }
});
