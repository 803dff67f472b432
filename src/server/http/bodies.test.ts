// Bodies: which are received, how many bytes are held, and what happens to unwanted ones.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import {
  CREDENTIAL,
  NOW,
  PATH,
  type RequestOptions,
  send,
  signedHeaders,
} from "../../../test/support/front.ts";
import {
  answerTo,
  assertRawError,
  connected,
  listening,
  postHead,
  received,
} from "../../../test/support/sockets.ts";
import { Bodies } from "./bodies.ts";

const BODY = '{"input":"Hello","num_return_sequences":1}';

test("a request that is refused for its head is refused before its body comes, with the same error as after it", async (context) => {
  const { app, origin } = await listening(context);
  const signed = (options: RequestOptions) => signedHeaders(BODY, { origin, ...options });
  const good = signed({});
  const cases: [headers: Record<string, string>, status: number, type: string, path?: string][] = [
    [{}, 403, "MissingAuthenticationTokenException"],
    [{ authorization: "Bearer x" }, 403, "UnrecognizedClientException"],
    [{ ...good, authorization: "AWS4-HMAC-SHA256 Credential" }, 403, "IncompleteSignatureException"],
    [{ ...good, "x-amz-date": "yesterday" }, 403, "IncompleteSignatureException"],
    [{ ...good, "x-amz-security-token": "t" }, 403, "UnrecognizedClientException"],
    [signed({ credential: { ...CREDENTIAL, accessKeyId: "NOBODY" } }), 403, "UnrecognizedClientException"],
    [signed({ region: "eu-west-1" }), 403, "InvalidSignatureException"],
    [signed({ service: "s3" }), 403, "InvalidSignatureException"],
    [signed({ now: new Date(NOW.getTime() - 301_000) }), 403, "InvalidSignatureException"],
    [signed({ now: new Date(NOW.getTime() + 301_000) }), 403, "InvalidSignatureException"],
    [good, 404, "UnknownOperationException", "/nothing"],
    [good, 405, "MethodNotAllowedException", "/ping"],
  ];
  for (const [headers, status, type, path = PATH] of cases) {
    const socket = await connected(app);
    const answer = received(socket);
    const lines = Object.entries({ host: "x", ...headers, "content-length": String(BODY.length) });
    socket.write(
      `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
    );
    await new Promise((resolve) => socket.once("data", resolve));
    socket.end(BODY);
    const text = await answer;
    assertRawError(text, status, type);
    const whole = await send(app, { method: "POST", url: path, headers, payload: BODY });
    assert.equal(text.slice(text.indexOf("\r\n\r\n") + 4), whole.body);
  }
});

test("an API key that is not known is refused before the body comes", async (context) => {
  const keys = { keyPair: () => undefined, apiKey: () => undefined };
  const { app } = await listening(context, { auth: "bearer" }, { keys });
  const socket = await connected(app);
  const answer = received(socket);
  socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nContent-Length: 9\r\n\r\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.end("x".repeat(9));
  assertRawError(await answer, 403, "UnrecognizedClientException");
});

test("an unwanted body is received up to the limit of the settings, then the connection ends", async (context) => {
  const { app } = await listening(context, { refusedBytesMax: 100_000 });
  const dropped = await connected(app);
  const both = received(dropped);
  dropped.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n`);
  await new Promise((resolve) => dropped.once("data", resolve));
  dropped.write("x".repeat(100_000));
  dropped.write("GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assert.match(await both, /^HTTP\/1\.1 403 .*HTTP\/1\.1 200 OK/s);
  const endless = await connected(app);
  const one = received(endless).catch(String); // The connection may be reset after the answer.
  const ended = new Promise((resolve) => endless.once("close", resolve));
  endless.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
  const [answer] = await once(endless, "data");
  assertRawError(answer, 403, "MissingAuthenticationTokenException");
  const chunk = `2710\r\n${"x".repeat(10_000)}\r\n`;
  const push = (): void => {
    while (!endless.destroyed && endless.write(chunk));
  };
  endless.on("drain", push);
  push();
  await Promise.all([ended, one]);
});

test("a client that closes after one request still reads why it was refused, however long its body is", async (context) => {
  const { app } = await listening(context);
  const socket = await connected(app);
  const answer = received(socket);
  socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n`);
  await once(socket, "data");
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => socket.write("x".repeat(1_000_000), resolve));
  }
  assertRawError(await answer, 403, "MissingAuthenticationTokenException");
});

/** The part of a request that matters for its body. */
function aRequest(headers: Record<string, string> = {}): PassThrough & IncomingMessage {
  return Object.assign(new PassThrough(), { headers }) as PassThrough & IncomingMessage;
}

/** The state of a promise after all written bytes have been read. */
async function settled(promise: Promise<Buffer>): Promise<string> {
  const later = new Promise<string>((resolve) => setImmediate(() => setImmediate(() => resolve("open"))));
  const outcome = promise.then(
    (body) => `${body.length} bytes`,
    (error: { status?: number; message: string }) => String(error.status ?? error.message),
  );
  return Promise.race([outcome, later]);
}

const LIMITS = { bodyBytesMax: 6000, bodiesBytesMax: 20_000, refusedBytesMax: 0 };

test("bodies that are being received have a common limit: the largest is dropped, small ones go on", async () => {
  const bodies = new Bodies(LIMITS);
  const small = aRequest({ "content-length": "100" });
  const received = bodies.receive(small);
  small.write("x".repeat(50));
  const large = Array.from({ length: 4 }, () => aRequest({ "content-length": "6000" }));
  const promises = large.map((request) => bodies.receive(request));
  const refused = promises.map((promise) => promise.catch((error) => error));
  for (const [i, request] of large.entries()) request.write("x".repeat(5000 - i));
  assert.deepEqual(await Promise.all(promises.map(settled)), ["503", "open", "open", "open"]);
  const { details } = await (refused[0] as Promise<{ details: unknown }>);
  assert.deepEqual(details, { headers: { "retry-after": "1" } });
  assert.ok(bodies.held <= LIMITS.bodiesBytesMax && bodies.held > 15_000, String(bodies.held));
  small.end("x".repeat(50));
  assert.equal(await settled(received), "100 bytes");
  for (const request of large.slice(1)) request.destroy();
  assert.deepEqual(await Promise.all(promises.map(settled)), ["503", ...Array(3).fill("the caller left")]);
  assert.equal(bodies.held, 0);
});

test("a body takes at most twice its size in memory, however it is cut, and is returned unchanged", async () => {
  const bodies = new Bodies({ ...LIMITS, bodyBytesMax: 100_000, bodiesBytesMax: 1_000_000 });
  const request = aRequest();
  const received = bodies.receive(request);
  const text = Array.from({ length: 20_000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join("");
  for (const character of text) request.write(character);
  assert.equal(await settled(received), "open");
  assert.ok(bodies.held >= 20_000 && bodies.held <= 40_000, String(bodies.held));
  request.end();
  assert.equal(String(await received), text);
  assert.equal(bodies.held, 0);
});

test("a body whose caller has already left is given up at once", async () => {
  const bodies = new Bodies(LIMITS);
  const request = aRequest();
  request.on("error", () => {}).destroy();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await settled(bodies.receive(request)), "the caller left");
});

test("a body without a length ends at the limit, and one more byte is refused", async () => {
  const bodies = new Bodies(LIMITS);
  const requests = [aRequest(), aRequest(), aRequest()] as const;
  const promises = requests.map((request) => bodies.receive(request));
  const [whole, longer, inPieces] = requests;
  whole.end("x".repeat(6000));
  longer.end("x".repeat(6001));
  inPieces.write("x".repeat(6000));
  inPieces.end("x");
  assert.deepEqual(await Promise.all(promises.map(settled)), ["6000 bytes", "413", "413"]);
});

test("a client that expects 100-continue gets it only when its body is wanted", async (context) => {
  const { app, origin } = await listening(context, { bodyBytesMax: 1024 });
  const expect = "100-continue";
  const refused: [head: string, status: number, type: string][] = [
    [postHead(origin, "{}", { expect, "content-length": "1025" }), 413, "RequestEntityTooLargeException"],
    [
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`,
      403,
      "MissingAuthenticationTokenException",
    ],
    [
      `POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`,
      404,
      "UnknownOperationException",
    ],
  ];
  for (const [request, status, type] of refused) {
    assertRawError(await answerTo(app, request), status, type);
  }
  const socket = await connected(app);
  const continued = new Promise<string>((resolve) => socket.once("data", (data) => resolve(String(data))));
  const length = { "content-length": String(BODY.length), connection: "close" };
  socket.write(postHead(origin, BODY, { expect, ...length }));
  assert.match(await continued, /^HTTP\/1\.1 100 Continue/);
  const answer = received(socket);
  socket.write(BODY);
  assert.match(await answer, /^HTTP\/1\.1 200 OK/);
});
