import assert from "node:assert/strict";
import { test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import { FakeGenerator } from "../../../test/support/fake-generator.ts";
import { aFront, NOW, PATH, post, send, signedHeaders } from "../../../test/support/front.ts";
import { ERRORS, type ErrorCode, GptError } from "../../errors.ts";
import type { Generator } from "../../request/generation.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Every error is a JSON object with a name and a request id in its headers. */
function assertError(
  response: LightMyRequestResponse,
  status: number,
  type: string,
): Record<string, unknown> {
  assert.equal(response.statusCode, status, response.body);
  assert.equal(response.headers["x-amzn-errortype"], type);
  assert.match(String(response.headers["x-amzn-requestid"]), UUID);
  assert.equal(response.headers["content-type"], "application/json");
  const body = response.json();
  assert.ok(typeof body === "object" && !Array.isArray(body), response.body);
  return body;
}

test("a signed request is answered with a bare list of texts and the headers of SageMaker", async () => {
  const { app, generator } = aFront();
  const response = await post(app, { input: "Hello", num_return_sequences: 2, seed: 7 });
  assert.equal(response.statusCode, 200, response.body);
  assert.deepEqual(response.json(), ["Hello and more é", "Hello and more é"]);
  assert.equal(response.headers["content-type"], "application/json");
  assert.match(String(response.headers["x-amzn-requestid"]), UUID);
  assert.equal(response.headers["x-amzn-invoked-production-variant"], "AllTraffic");
  assert.equal(response.headers["x-gpt2-seed"], "7");
  assert.equal(response.headers["content-encoding"], undefined);
  assert.equal(generator.asked[0]?.input, "Hello");
});

test("the answer to a request without a seed has the seed that was used", async () => {
  const { app, generator } = aFront();
  const response = await post(app, { input: "Hello" });
  const seed = Number(response.headers["x-gpt2-seed"]);
  assert.ok(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
  assert.equal(generator.asked[0]?.decoding.seed, seed);
});

test("the body is read as JSON whatever its content type says", async () => {
  const { app } = aFront();
  for (const type of [
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "text/csv",
    "json",
    ";;=",
    "",
  ]) {
    const response = await post(app, { input: "" }, { headers: { "content-type": type } });
    assert.equal(response.statusCode, 200, type);
  }
});

test("a bad payload is a ModelError with the container's status and sentence", async () => {
  const { app } = aFront();
  const body = assertError(await post(app, { input: "", max_length: "ten" }), 424, "ModelError");
  const sentence = 'max_length must be an integer from 1 to 256, got "ten" (a string)';
  assert.deepEqual(body, {
    Message: `Received client error (400) from primary with message "${sentence}".`,
    OriginalStatusCode: 400,
    OriginalMessage: sentence,
    LogStreamArn: "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/gpt-2",
    ErrorCode: "invalid_field",
  });
  for (const payload of [
    "",
    "not json",
    "[]",
    "null",
    Buffer.from([0xff, 0]),
    {},
    { input: 1 },
    { input: "", x: 1 },
  ]) {
    assertError(await post(app, payload), 424, "ModelError");
  }
});

test("every error code has an answer, and internal errors reveal nothing to callers", async () => {
  const { app, generator } = aFront();
  const expected: Record<ErrorCode, [status: number, type: string]> = {
    invalid_json: [424, "ModelError"],
    invalid_body: [424, "ModelError"],
    unknown_field: [424, "ModelError"],
    invalid_field: [424, "ModelError"],
    prompt_too_long: [424, "ModelError"],
    request_too_large: [424, "ModelError"],
    queue_full: [503, "ServiceUnavailable"],
    cancelled: [503, "ServiceUnavailable"],
    invalid_checkpoint: [500, "InternalFailure"],
    invalid_tokenizer: [500, "InternalFailure"],
    invalid_config: [500, "InternalFailure"],
    hub_refused: [500, "InternalFailure"],
    hub_unreachable: [500, "InternalFailure"],
    download_failed: [500, "InternalFailure"],
    model_not_cached: [500, "InternalFailure"],
    cannot_listen: [500, "InternalFailure"],
    engine_failed: [500, "InternalFailure"],
    timed_out: [424, "ModelError"],
  };
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const [status, type] = expected[code];
    generator.failure = new GptError(code, "some cause");
    const response = await post(app, { input: "" });
    const body = assertError(response, status, type);
    const isTold = status !== 500 && code !== "timed_out";
    assert.equal(String(body.Message).includes("some cause"), isTold, code);
    assert.equal(response.headers["retry-after"], status === 503 ? "1" : undefined);
  }
});

test("an unexpected error is a 500 without its message, and is logged with the request id", async () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) };
  const { app, generator } = aFront({}, { logger: { level: "info", stream } });
  generator.failure = new Error("secret detail");
  const response = await post(app, { input: "private text" });
  const { Message } = assertError(response, 500, "InternalFailure");
  const requestId = String(response.headers["x-amzn-requestid"]);
  assert.equal(Message, `The server failed; its log has the cause under request id ${requestId}`);
  const cause = lines.find((line) => line.includes("secret detail"));
  assert.ok(cause?.includes(requestId));
});

test("a request is one line in the log, without its text, its query or its signature", async () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) };
  const { app } = aFront({}, { logger: { level: "info", stream } });
  await post(app, { input: "private text" }, { path: `${PATH}?token=private` });
  assert.equal(lines.length, 1);
  assert.doesNotMatch(lines[0] ?? "", /private|Signature|Hello/);
  const { level: _, time, pid, hostname, reqId, ms, ...told } = JSON.parse(lines[0] ?? "");
  assert.deepEqual(told, {
    method: "POST",
    path: PATH,
    status: 200,
    ip: "127.0.0.1",
    msg: "request",
    keyId: "AKIDEXAMPLE",
    operation: "InvokeEndpoint",
    endpoint: "gpt-2",
    promptTokens: 1,
    cachedTokens: 0,
    generatedTokens: 1,
    queueMs: 1,
    firstTokenMs: 2,
    totalMs: 3,
  });
  for (const fact of [time, pid, hostname, reqId, ms]) assert.notEqual(fact, undefined);
});

test("an unsigned or wrongly signed request is refused with 403 and AWS's name", async () => {
  const { app, generator } = aFront();
  const payload = JSON.stringify({ input: "" });
  const unsigned = await send(app, { method: "POST", url: PATH, payload });
  const body = assertError(unsigned, 403, "MissingAuthenticationTokenException");
  assert.deepEqual(body, { message: "Missing Authentication Token" });

  const headers = signedHeaders(payload);
  const changed = await send(app, { method: "POST", url: PATH, headers, payload: `${payload} ` });
  assertError(changed, 403, "InvalidSignatureException");
  const wrong: [options: Parameters<typeof post>[2], type: string][] = [
    [{ credential: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wrong" } }, "InvalidSignatureException"],
    [{ credential: { accessKeyId: "NOBODY", secretAccessKey: "wrong" } }, "UnrecognizedClientException"],
    [{ region: "eu-west-1" }, "InvalidSignatureException"],
    [{ service: "s3" }, "InvalidSignatureException"],
    [{ now: new Date(NOW.getTime() - 301_000) }, "InvalidSignatureException"],
    [{ now: new Date(NOW.getTime() + 301_000) }, "InvalidSignatureException"],
  ];
  for (const [options, type] of wrong) assertError(await post(app, payload, options), 403, type);
  assert.equal(generator.asked.length, 0);
});

test("region, clock window and host aliases are settings", async () => {
  const { app } = aFront({ region: "any", clockSkewSeconds: 900, hostAlias: ["public.example:443"] });
  const changes = [
    { region: "eu-west-1" },
    { now: new Date(NOW.getTime() - 900_000) },
    { origin: "http://public.example:443" },
  ];
  for (const options of changes) {
    const payload = JSON.stringify({ input: "" });
    const headers = { ...signedHeaders(payload, options), host: "localhost" };
    assert.equal((await send(app, { method: "POST", url: PATH, headers, payload })).statusCode, 200);
  }
});

test("checks come in the order size, signature, endpoint, envelope, payload", async () => {
  const { app } = aFront({ bodyBytesMax: 1024 });
  const other = "/endpoints/other/invocations";
  const large = await send(app, { method: "POST", url: other, payload: "x".repeat(1025) });
  assert.deepEqual(assertError(large, 413, "RequestEntityTooLargeException"), {
    message: "HTTP content length exceeded 1024 bytes.",
  });
  const unsigned = await send(app, { method: "POST", url: other, payload: "not json" });
  assertError(unsigned, 403, "MissingAuthenticationTokenException");
  const unknown = await post(app, "not json", { path: other, headers: { accept: "*/*;q=0" } });
  assert.deepEqual(assertError(unknown, 400, "ValidationError"), {
    Message: "Endpoint other of account 000000000000 not found.",
  });
  const unacceptable = await post(app, "not json", { headers: { accept: "*/*;q=0" } });
  assert.match(
    String(assertError(unacceptable, 400, "ValidationError").Message),
    /^Accept must allow application\/json/,
  );
  assertError(await post(app, "not json"), 424, "ModelError");
});

test("an endpoint name is checked before it is looked up", async () => {
  const { app } = aFront();
  for (const name of ["-bad", "a".repeat(64), "a_b", "a%20b", "", "a".repeat(9000)]) {
    const { Message } = assertError(
      await post(app, "{}", { path: `/endpoints/${name}/invocations` }),
      400,
      "ValidationError",
    );
    assert.match(String(Message), /^The endpoint name must be letters/, name);
  }
});

test("a compressed body is refused", async () => {
  const { app } = aFront();
  const gzip = await post(app, { input: "" }, { headers: { "content-encoding": "gzip" } });
  assertError(gzip, 415, "UnsupportedMediaTypeException");
});

test("a path that does not exist gets a JSON error too", async () => {
  const { app } = aFront();
  assertError(await send(app, { method: "GET", url: "/nothing" }), 404, "UnknownOperationException");
  assertError(
    await send(app, { method: "POST", url: `${PATH}/`, payload: "{}" }),
    404,
    "UnknownOperationException",
  );
  assertError(await send(app, { method: "GET", url: "/%zz" }), 400, "MalformedHttpRequestException");
  const get = await send(app, { method: "GET", url: PATH });
  assertError(get, 405, "MethodNotAllowedException");
  assert.equal(get.headers.allow, "POST");
  assertError(
    await send(app, { method: "PUT", url: "/ping", payload: "{}" }),
    405,
    "MethodNotAllowedException",
  );
  const path = "/endpoints/gpt-2/async-invocations";
  assertError(await post(app, { input: "" }, { path }), 404, "UnknownOperationException");
  assertError(await send(app, { method: "POST", url: path }), 403, "MissingAuthenticationTokenException");
});

test("while the model is loading /ping answers 503 and invocations 429, and then 200", async () => {
  let ready: (generator: Generator) => void = () => {};
  const loading = new Promise<Generator>((resolve) => {
    ready = resolve;
  });
  const { app } = aFront({}, { generators: new Map([["gpt-2", loading]]) });
  assertError(await send(app, { method: "GET", url: "/ping" }), 503, "ServiceUnavailable");
  assertError(await post(app, { input: "" }), 429, "ModelNotReadyException");
  ready(new FakeGenerator());
  await loading;
  const ping = await send(app, { method: "GET", url: "/ping" });
  assert.deepEqual([ping.statusCode, ping.json()], [200, { status: "ready" }]);
  assert.match(String(ping.headers["x-amzn-requestid"]), UUID);
  assert.equal((await post(app, { input: "" })).statusCode, 200);
});

test("with a model that cannot be loaded the server never becomes ready", async () => {
  const { app } = aFront({}, { generators: new Map([["gpt-2", Promise.reject(new Error("no model"))]]) });
  assertError(await send(app, { method: "GET", url: "/ping" }), 503, "ServiceUnavailable");
});

test("the limits in the settings apply to the parameters", async () => {
  const { app } = aFront({ maxNumReturnSequences: 2, maxNumBeams: 4 });
  const { OriginalMessage } = assertError(
    await post(app, { input: "", num_return_sequences: 3 }),
    424,
    "ModelError",
  );
  assert.equal(OriginalMessage, "num_return_sequences must be an integer from 1 to 2, got 3");
  assertError(await post(app, { input: "", num_beams: 5 }), 424, "ModelError");
});
