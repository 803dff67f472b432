// InvokeEndpointWithResponseStream, with `inject` and over a real connection.
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import { decodeFrames, joinedParts } from "../../../test/support/event-stream.ts";
import { aFront, post, STREAM_PATH, signedHeaders } from "../../../test/support/front.ts";
import { GptError } from "../../errors.ts";

const LINES = { headers: { "x-amzn-sagemaker-accept": "application/jsonlines" } };
const TEXT = "Hello and more é";

function stream(
  front: ReturnType<typeof aFront>,
  body: unknown,
  options: Parameters<typeof post>[2] = {},
): Promise<LightMyRequestResponse> {
  return post(front.app, body, { path: STREAM_PATH, ...options });
}

test("the parts joined are the ordinary answer, byte for byte, and a line feed", async () => {
  const front = aFront();
  const body = { input: "Hello", num_return_sequences: 3, seed: 1 };
  const cases = [
    [],
    [{ index: 0, text: "Hello and" }],
    [
      { index: 1, text: "Hello" },
      { index: 0, text: "Hel" },
      { index: 0, text: "lo and more é" },
    ],
  ];
  for (const pieces of cases) {
    front.generator.pieces = pieces;
    const response = await stream(front, body);
    assert.equal(response.statusCode, 200);
    assert.equal(joinedParts(response.rawPayload), `${(await post(front.app, body)).body}\n`);
  }
});

test("a text with quotes, line breaks and characters beyond the BMP is escaped as in the ordinary answer", async () => {
  const front = aFront();
  const body = { input: 'a "b"\n\u0000 🎈', num_return_sequences: 1, seed: 1 };
  front.generator.pieces = [...`${body.input} and`].map((text) => ({ index: 0, text }));
  const response = await stream(front, body);
  assert.equal(joinedParts(response.rawPayload), `${(await post(front.app, body)).body}\n`);
  assert.deepEqual(JSON.parse(joinedParts(response.rawPayload)), [`${body.input} and more é`]);
});

test("the headers are those of the operation", async () => {
  const front = aFront();
  const { headers } = await stream(
    front,
    { input: "", seed: 5 },
    { headers: { "x-amzn-sagemaker-custom-attributes": "trace=1" } },
  );
  assert.equal(headers["content-type"], "application/vnd.amazon.eventstream");
  assert.equal(headers["x-amzn-sagemaker-content-type"], "application/json");
  assert.equal(headers["x-amzn-invoked-production-variant"], "AllTraffic");
  assert.equal(headers["x-amzn-sagemaker-custom-attributes"], "trace=1");
  assert.equal(headers["x-gpt2-seed"], "5");
  assert.match(String(headers["x-amzn-requestid"]), /^[0-9a-f-]{36}$/);
});

test("JSON lines are one object a piece, each in a frame of its own", async () => {
  const front = aFront();
  front.generator.pieces = [
    { index: 1, text: "a" },
    { index: 0, text: "é\n" },
  ];
  const response = await stream(front, { input: "" }, LINES);
  assert.equal(response.headers["x-amzn-sagemaker-content-type"], "application/jsonlines");
  const payloads = decodeFrames(response.rawPayload).map(({ payload }) => String(payload));
  assert.deepEqual(payloads, ['{"index":1,"text":"a"}\n', '{"index":0,"text":"é\\n"}\n']);
});

test("JSON lines have no unescaped Unicode line separators", async () => {
  const front = aFront();
  const text = "a\u0085b\u2028c\u2029d\u000be\u001ef\r";
  front.generator.pieces = [{ index: 0, text }];
  const response = await stream(front, { input: "" }, LINES);
  const body = joinedParts(response.rawPayload);
  assert.match(body, /^[^\p{Cc}\u2028\u2029]+\n$/u);
  assert.deepEqual(JSON.parse(body), { index: 0, text });
});

test("texts that are all empty are a line each, in an answer like any other", async () => {
  const front = aFront();
  front.generator.text = "";
  const response = await stream(front, { input: "", seed: 5 }, LINES);
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers["content-type"], "application/vnd.amazon.eventstream");
  assert.equal(response.headers["x-gpt2-seed"], "5");
  const lines = [0, 1, 2].map((index) => `${JSON.stringify({ index, text: "" })}\n`);
  assert.equal(joinedParts(response.rawPayload), lines.join(""));
});

test("an error before the first piece is an ordinary HTTP error", async () => {
  const front = aFront();
  const bad = await stream(front, { input: 5 });
  assert.deepEqual([bad.statusCode, bad.headers["x-amzn-errortype"]], [424, "ModelError"]);
  assert.equal(bad.json().OriginalStatusCode, 400);
  front.generator.failure = new GptError("queue_full", "no room");
  const full = await stream(front, { input: "" });
  assert.deepEqual([full.statusCode, full.headers["retry-after"]], [503, "1"]);
  const nothing = { headers: { "x-amzn-sagemaker-accept": "*/*;q=0" } };
  const refused = await stream(front, { input: "" }, nothing);
  assert.deepEqual([refused.statusCode, refused.headers["x-amzn-errortype"]], [400, "ValidationError"]);
});

test("an error after the first piece ends the stream with an exception frame", async () => {
  const cases: [error: Error, type: string, errorCode: string | undefined][] = [
    [new GptError("timed_out", "late"), "ModelStreamError", "ModelInvocationTimeExceeded"],
    [new GptError("cancelled", "stopping"), "ModelStreamError", "StreamBroken"],
    [new GptError("engine_failed", "secret detail"), "InternalStreamFailure", undefined],
    [new Error("secret detail"), "InternalStreamFailure", undefined],
  ];
  for (const [error, type, errorCode] of cases) {
    const lines: string[] = [];
    const logger = { level: "info", stream: { write: (line: string) => lines.push(line) } };
    const front = aFront({}, { logger });
    front.generator.pieces = [{ index: 0, text: "Hello" }];
    front.generator.failure = error;
    const response = await stream(front, { input: "Hello" });
    assert.equal(response.statusCode, 200);
    const [part, exception, ...more] = decodeFrames(response.rawPayload);
    assert.equal(String(part?.payload), '["Hello');
    assert.equal(exception?.headers[":message-type"], "exception");
    assert.equal(exception?.headers[":exception-type"], type);
    const { Message, ErrorCode } = JSON.parse(String(exception?.payload));
    assert.equal(ErrorCode, errorCode);
    assert.doesNotMatch(Message, /secret/);
    assert.deepEqual(more, []);
    assert.equal(JSON.parse(lines.at(-1) ?? "").errorType, type);
  }
});

async function listening(context: TestContext) {
  const front = aFront();
  await front.app.listen({ host: "127.0.0.1", port: 0 });
  context.after(() => front.app.close());
  const { port } = front.app.server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const request = (body: string, signal?: AbortSignal): Promise<Response> => {
    const headers = signedHeaders(body, { origin, path: STREAM_PATH, ...LINES });
    return fetch(origin + STREAM_PATH, { method: "POST", headers, body, ...(signal ? { signal } : {}) });
  };
  return { ...front, request };
}

test("a piece is sent at once, and a caller that leaves in the middle cancels the rest", async (context) => {
  const { generator, request } = await listening(context);
  generator.pieces = [{ index: 0, text: TEXT }];
  generator.waits = true;
  const controller = new AbortController();
  const response = await request('{"input":"Hello"}', controller.signal);
  const { value } = (await response.body?.getReader().read()) ?? {};
  assert.equal(joinedParts(Buffer.from(value ?? [])), `${JSON.stringify({ index: 0, text: TEXT })}\n`);
  controller.abort();
  await generator.wasCancelled;
});
