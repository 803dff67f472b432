// Tests that need a real connection: broken HTTP, bodies that are too large, callers that leave, the orderly stop.
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { PATH } from "../../../test/support/front.ts";
import {
  answerTo,
  assertRawError,
  connected,
  listening,
  postHead,
  received,
} from "../../../test/support/sockets.ts";

test("broken HTTP is answered with a JSON error", async (context) => {
  const { app } = await listening(context);
  const cases: [request: string, status: number, type: string][] = [
    ["NONSENSE\r\n\r\n", 400, "MalformedHttpRequestException"],
    ["GET /ping HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n", 400, "MalformedHttpRequestException"],
    [`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n`, 400, "MalformedHttpRequestException"],
    [
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
      400,
      "MalformedHttpRequestException",
    ],
    [
      `GET /ping HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(20_000)}\r\n\r\n`,
      431,
      "RequestHeaderFieldsTooLargeException",
    ],
  ];
  for (const [request, status, type] of cases) {
    assertRawError(await answerTo(app, request), status, type);
  }
});

test("a request that does not arrive in time is answered with 408", async (context) => {
  const { app } = await listening(context);
  const accepted = new Promise<Socket>((resolve) => app.server.once("connection", resolve));
  const answer = received(await connected(app));
  const error = Object.assign(new Error("timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
  app.server.emit("clientError", error, await accepted);
  assertRawError(await answer, 408, "RequestTimeoutException");
});

test("a request with an unknown Expect header reaches the routes", async (context) => {
  const { app } = await listening(context);
  const socket = await connected(app);
  const answer = received(socket);
  const headers = "Host: x\r\nExpect: miracles\r\nConnection: close\r\nContent-Length: 2\r\n";
  socket.write(`POST ${PATH} HTTP/1.1\r\n${headers}\r\n{}`);
  assertRawError(await answer, 403, "MissingAuthenticationTokenException");
});

test("a path is routed as it was sent", async (context) => {
  const { app } = await listening(context);
  const paths = { "/endpoints/../invocations": 403, "/endpoints/gpt-2/../invocations": 404 };
  for (const [path, status] of Object.entries(paths)) {
    const socket = await connected(app);
    const answer = received(socket);
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`);
    const type = status === 403 ? "MissingAuthenticationTokenException" : "UnknownOperationException";
    assertRawError(await answer, status, type);
  }
});

test("a body that is too large is refused, with and without a declared length, and the connection stays usable", async (context) => {
  const { app, origin } = await listening(context, { bodyBytesMax: 1024 });
  const body = "x".repeat(100_000);
  const framings: [headers: Record<string, string>, framed: string][] = [
    [{ "content-length": String(body.length) }, body],
    [{ "transfer-encoding": "chunked" }, `186a0\r\n${body}\r\n0\r\n\r\n`],
  ];
  for (const [headers, framed] of framings) {
    const socket = await connected(app);
    const answer = received(socket);
    socket.write(postHead(origin, body, headers) + framed);
    socket.write("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const text = await answer;
    const second = text.indexOf("HTTP/1.1 404");
    assert.ok(second > 0, text);
    assertRawError(text.slice(0, second), 413, "RequestEntityTooLargeException");
    assertRawError(text.slice(second), 404, "UnknownOperationException");
  }
});

test("the generation of a caller that leaves is cancelled", async (context) => {
  const { app, generator, origin } = await listening(context);
  generator.waits = true;
  const body = JSON.stringify({ input: "Hello" });
  const socket = await connected(app);
  socket.write(postHead(origin, body, { "content-length": String(body.length) }) + body);
  await generator.wasAsked;
  socket.destroy();
  await generator.wasCancelled;
});

test("a caller that stays is not cancelled, and a signed request over a real connection is answered", async (context) => {
  const { app, origin } = await listening(context);
  const body = JSON.stringify({ input: "Hello", num_return_sequences: 1, seed: 5 });
  const text = await answerTo(
    app,
    postHead(origin, body, { "content-length": String(body.length), connection: "close" }) + body,
  );
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(text, /\r\n\r\n\["Hello and more é"\]$/);
});

test("closing ends idle connections and loses no request", async (context) => {
  const { app } = await listening(context);
  const socket = await connected(app);
  const ended = received(socket);
  socket.write("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  await app.close();
  assert.match(await ended, /^HTTP\/1\.1 200 OK/);
});

test("closing does not wait for a silent connection, but waits for a pending answer", async (context) => {
  const { app, generator, origin } = await listening(context);
  const accepted = new Promise((resolve) => app.server.once("connection", resolve));
  const silent = await connected(app);
  const ended = new Promise((resolve) => silent.once("close", resolve));
  silent.resume();
  await accepted;
  const release = generator.holdAnswers();
  const body = JSON.stringify({ input: "Hello", num_return_sequences: 1 });
  const busy = await connected(app);
  const answer = received(busy);
  busy.write(postHead(origin, body, { "content-length": String(body.length) }) + body);
  await generator.wasAsked;
  const closed = app.close();
  await ended;
  release();
  assert.match(await answer, /^HTTP\/1\.1 200 OK/);
  await closed;
});

test("a method that the parser accepts but the router does not know gets a JSON error too", async (context) => {
  const { app } = await listening(context);
  const cases: [request: string, status: number, type: string][] = [
    ["PRI //x", 404, "UnknownOperationException"],
    ["PRI /ping", 405, "MethodNotAllowedException"],
    ["PRI /ping HTTP/1.1", 400, "MalformedHttpRequestException"],
  ];
  for (const [line, status, type] of cases) {
    assertRawError(await answerTo(app, `${line}\r\nHost: x\r\nConnection: close\r\n\r\n`), status, type);
  }
});
