import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { aFile } from "../../../test/support/changing-file.ts";
import { FakeGenerator } from "../../../test/support/fake-generator.ts";
import {
  aFront,
  CREDENTIAL,
  NOW,
  PATH,
  post,
  STREAM_PATH,
  send,
  signedHeaders,
} from "../../../test/support/front.ts";
import { DEFAULT_SETTINGS } from "../../settings.ts";
import { makeBearerToken } from "../../sigv4/index.ts";
import { authorize, type Caller, type Keys } from "./authentication.ts";
import { apiKeyFile } from "./key-files.ts";

const { accessKeyId } = CREDENTIAL;
const OPTIONS = { keyFileGraceMs: 30_000, onProblem: () => {} };

test("a key may invoke only its endpoints, and is refused at others in AWS's words", async () => {
  const one = new FakeGenerator();
  const generators = new Map([
    ["gpt-2", one],
    ["other", one],
  ]);
  const keyPair = () => ({ ...CREDENTIAL, endpoints: new Set(["gpt-2"]) });
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

test("a request's key is looked up once: it keeps its permission even if the key is removed meanwhile", async () => {
  const hash = createHash("sha256").update("gpt2_secret").digest("hex");
  for (const auth of ["sigv4", "bearer"] as const) {
    for (const [endpoints, status] of [
      [new Set(["gpt-2"]), 200],
      [new Set(["other"]), 403],
    ] as const) {
      let lookUps = 0;
      const once = <T>(found: T): T | undefined => (lookUps++ === 0 ? found : undefined);
      const keys = {
        keyPair: () => once({ ...CREDENTIAL, endpoints }),
        apiKey: () => once({ id: "alice", sha256: hash, endpoints }),
      };
      const { app } = aFront({ auth }, { keys });
      const payload = '{"input":""}';
      const headers = auth === "sigv4" ? signedHeaders(payload) : { authorization: "Bearer gpt2_secret" };
      const { statusCode } = await send(app, { method: "POST", url: PATH, headers, payload });
      assert.deepEqual([statusCode, lookUps], [status, 1], auth);
    }
  }
});

test("a missing permission allows nothing", () => {
  const caller = { keyId: "x" } as unknown as Caller;
  assert.throws(() => authorize(caller, "gpt-2", DEFAULT_SETTINGS));
  const none = { keyId: "x", endpoints: new Set<string>() };
  assert.throws(() => authorize(none, "gpt-2", DEFAULT_SETTINGS), { type: "AccessDeniedException" });
  authorize({ keyId: "x", endpoints: "*" }, "gpt-2", DEFAULT_SETTINGS);
});

test("an API key is found by its hash", async (context) => {
  const { path, write } = aFile(context, "api-keys.json");
  const sha256 = createHash("sha256").update("gpt2_secret").digest("hex");
  write({ keys: [{ id: "alice", sha256, endpoints: ["gpt-2"] }] });
  const file = apiKeyFile(path, OPTIONS);
  const keys = { keyPair: () => undefined, apiKey: (hash: string) => file.content.get(hash) };
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

test("an empty token is never an API key, even if its hash is in the file", async () => {
  const sha256 = createHash("sha256").update("").digest("hex");
  const entry = { id: "nobody", sha256, endpoints: "*" } as const;
  const apiKey = (digest: string) => (digest === sha256 ? entry : undefined);
  const { app } = aFront({ auth: "bearer" }, { keys: { keyPair: () => undefined, apiKey } });
  for (const authorization of ["Bearer", "Bearer ", "Basic x"]) {
    const headers = { authorization };
    const response = await send(app, { method: "POST", url: PATH, headers, payload: '{"input":""}' });
    assert.equal(response.statusCode, 403, authorization);
  }
});

test("who sends an API key where only key pairs count is told what is taken", async () => {
  const { app } = aFront({ auth: "sigv4" });
  const headers = { authorization: "Bearer sk-mine" };
  const response = await send(app, { method: "POST", url: PATH, headers, payload: '{"input":""}' });
  assert.equal(response.statusCode, 403);
  assert.equal(response.headers["x-amzn-errortype"], "UnrecognizedClientException");
  assert.match(response.json().message, /takes no API keys: .*bearer token that `gpt2-api token` makes/);
});

test("without authentication every request is accepted", async () => {
  const { app } = aFront({ auth: "none" });
  const response = await send(app, { method: "POST", url: PATH, payload: '{"input":""}' });
  assert.equal(response.statusCode, 200);
});

test("without authentication a page of another place is refused, and so is another name of this address", async () => {
  const { app } = aFront({ auth: "none", hostAlias: ["proxy.example:8443"] });
  const status = async (front: typeof app, headers: Record<string, string>): Promise<number> => {
    const body = { "content-type": "text/plain", ...headers };
    return (await send(front, { method: "POST", url: PATH, headers: body, payload: '{"input":""}' }))
      .statusCode;
  };
  const own = { host: "127.0.0.1:8080" };
  for (const headers of [
    { ...own, origin: "http://evil.example" },
    { ...own, origin: "null" },
    { ...own, origin: "http://127.0.0.1:9090" },
    { ...own, origin: "https://127.0.0.1:8080.evil.example" },
    { host: "evil.example:8080" },
    { host: "evil.example", origin: "http://evil.example" },
    { host: "127.0.0.1.evil.example" },
  ]) {
    assert.equal(await status(app, headers), 403, JSON.stringify(headers));
  }
  for (const headers of [
    own,
    { host: "localhost:8080", origin: "http://localhost:8080" },
    { host: "[::1]:8080" },
    { host: "proxy.example:8443", origin: "https://proxy.example:8443" },
    { ...own, origin: "https://proxy.example:8443" },
  ]) {
    assert.equal(await status(app, headers), 200, JSON.stringify(headers));
  }
  const open = aFront({ auth: "none", host: "0.0.0.0", insecurePublic: true }).app;
  assert.equal(await status(open, { host: "gpt2.example" }), 200, "it does not know its names");
  assert.equal(await status(open, { host: "gpt2.example", origin: "http://gpt2.example" }), 200);
  assert.equal(await status(open, { host: "gpt2.example", origin: "http://evil.example" }), 403);
});

test("a signature that does not match is explained only with --debug-signature", async () => {
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

test("any accepts signatures, tokens of key pairs and API keys, and nothing else", async () => {
  const sha256 = createHash("sha256").update("gpt2_secret").digest("hex");
  const keys: Keys = {
    keyPair: (id) => (id === CREDENTIAL.accessKeyId ? { ...CREDENTIAL, endpoints: "*" } : undefined),
    apiKey: (digest) => (digest === sha256 ? { id: "team", sha256, endpoints: "*" } : undefined),
  };
  const { app } = aFront({ auth: "any" }, { keys });
  const body = '{"input": "a"}';
  const ask = async (headers: Record<string, string>): Promise<number> =>
    (await app.inject({ method: "POST", url: PATH, payload: body, headers })).statusCode;
  const made = makeBearerToken({ credential: CREDENTIAL, region: "us-east-1", now: NOW, expiresSeconds: 9 });
  assert.equal(await ask(signedHeaders(body)), 200);
  assert.equal(await ask({ authorization: `Bearer ${made}` }), 200);
  assert.equal(await ask({ authorization: "Bearer gpt2_secret" }), 200);
  for (const authorization of ["Bearer other", `Bearer ${made}A`, "Basic eDp5", "Bearer "])
    assert.equal(await ask({ authorization }), 403, authorization);
  assert.equal(await ask({}), 403);
});
