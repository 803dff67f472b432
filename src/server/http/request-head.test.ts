// Request heads at the edges of RFC 9110 and 9112, as raw bytes.
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { PATH, signedHeaders } from "../../../test/support/front.ts";
import {
  assertRawError,
  connected,
  type Listening,
  listening,
  received,
} from "../../../test/support/sockets.ts";
import { normaliseTarget } from "./request-head.ts";

const BODY = '{"input":"Hello","num_return_sequences":1}';

/** Everything that the server sends for these bytes, until the connection ends. */
async function exchange({ app }: Listening, bytes: string): Promise<string> {
  const socket = await connected(app);
  const answer = received(socket);
  socket.write(bytes);
  return answer;
}

/** A POST with this target, signed for `path` and the host that the server listens on. */
function signedPost({ origin }: Listening, target: string, path: string, host?: string): string {
  const headers = { ...signedHeaders(BODY, { origin, path }), ...(host === undefined ? {} : { host }) };
  const lines = Object.entries({ ...headers, "content-length": String(BODY.length), connection: "close" });
  return `POST ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${BODY}`;
}

test("a target in absolute form is the path, and its authority the host, for routes and signatures", async (context) => {
  const front = await listening(context);
  const { origin } = front;
  for (const target of [origin + PATH, (origin + PATH).replace("http:", "HTTP:"), `${origin}${PATH}?a=b`]) {
    const path = target.includes("?") ? `${PATH}?a=b` : PATH;
    assert.match(await exchange(front, signedPost(front, target, path)), /^HTTP\/1\.1 200 OK/, target);
    assert.match(await exchange(front, signedPost(front, target, path, "ignored:1")), /^HTTP\/1\.1 200 OK/);
  }
  const other = await exchange(front, signedPost(front, `http://elsewhere${PATH}`, PATH));
  assertRawError(other, 403, "InvalidSignatureException");
  for (const [target, status] of [
    ["http://x", 405],
    ["http://x?a", 405],
    ["http://x/ping", 200],
    ["https://x/ping", 200],
  ] as const) {
    const answer = await exchange(front, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status}`), target);
  }
});

test("HTTP/1.0 needs no Host; for the signature the host of an absolute target is used", async (context) => {
  const front = await listening(context);
  assert.match(await exchange(front, "GET /ping HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 OK/);
  const post = signedPost(front, front.origin + PATH, PATH).replace("HTTP/1.1", "HTTP/1.0");
  assert.match(await exchange(front, post.replace(/^host: .*\r\n/m, "")), /^HTTP\/1\.1 200 OK/);
});

test("heads that RFC 9112 requires to be refused are refused, with a normal error", async (context) => {
  const front = await listening(context, { headerLinesMax: 32, headerBytesMax: 4096 });
  const long = "RequestHeaderFieldsTooLargeException";
  const bad = "MalformedHttpRequestException";
  const chunk = "0\r\n\r\n";
  const cases: [head: string, status: number, type: string][] = [
    ["GET /ping HTTP/1.1", 400, bad],
    ["GET /ping HTTP/1.1\r\nHost: x\r\nHost: x", 400, bad],
    ["GET http://x/ping HTTP/1.1", 400, bad],
    ["GET http://x/ping HTTP/1.1\r\nHost: x\r\nHost: y", 400, bad],
    ["GET http://user@x/ping HTTP/1.1\r\nHost: x", 400, bad],
    ["GET http:///ping HTTP/1.1\r\nHost: x", 400, bad],
    ["GET ftp://x/ping HTTP/1.1\r\nHost: x", 400, bad],
    ["GET ping HTTP/1.1\r\nHost: x", 400, bad],
    ["GET /ping HTTP/1.1\r\nHost: x y", 400, bad],
    ["GET /ping HTTP/1.1\r\nHost: x/y", 400, bad],
    ["GET /ping HTTP/1.1\r\nHost: x, y:1", 400, bad],
    ["GET /ping HTTP/1.1\r\nHost: x:port", 400, bad],
    ["GET /ping HTTP/2.0\r\nHost: x", 505, "HttpVersionNotSupportedException"],
    ["GET /ping HTTP/1.1\r\nHost: x\r\nX : y", 400, bad],
    ["GET /ping HTTP/1.1\r\nHost: x\r\n folded: y", 400, bad],
    [`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1`, 400, bad],
    [`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1`, 400, bad],
    [`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: +1`, 400, bad],
    [`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked`, 400, bad],
    [`POST ${PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity`, 400, bad],
    [`POST ${PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip`, 400, bad],
    [`POST ${PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked`, 501, "NotImplemented"],
    [`POST ${PATH} HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked`, 400, bad],
    [`GET /ping HTTP/1.1\r\nHost: x\r\n${"a:b\r\n".repeat(31)}c:d`, 431, long],
    [`GET /ping HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(4096)}`, 431, long],
    [`GET /${"a".repeat(4096)} HTTP/1.1\r\nHost: x`, 431, long],
    ["CONNECT x:443 HTTP/1.1\r\nHost: x:443", 405, "MethodNotAllowedException"],
    ["OPTIONS * HTTP/1.1\r\nHost: x", 404, "UnknownOperationException"],
    ["OPTIONS /ping HTTP/1.1\r\nHost: x", 405, "MethodNotAllowedException"],
    ["TRACE /ping HTTP/1.1\r\nHost: x", 405, "MethodNotAllowedException"],
  ];
  for (const [head, status, type] of cases) {
    const isChunked = head.endsWith("chunked");
    const answer = await exchange(front, `${head}\r\nConnection: close\r\n\r\n${isChunked ? chunk : ""}`);
    assertRawError(answer, status, type, head);
  }
});

test("heads that RFC 9112 requires to be accepted are accepted", async (context) => {
  const front = await listening(context, { headerLinesMax: 32 });
  const heads = [
    "GET /ping HTTP/1.1\r\nHost:",
    "GET /ping HTTP/1.1\r\nhOsT: [::1]:8080",
    "GET /ping HTTP/1.1\r\nHost: a_b.example:",
    "HEAD /ping HTTP/1.1\r\nHost: x",
    "\r\nGET /ping HTTP/1.1\r\nHost: x",
    `GET /ping HTTP/1.1\r\nHost: x\r\n${"a:b\r\n".repeat(29)}c:d`,
    "GET /ping HTTP/1.1\r\nHost: x\r\nUpgrade: websocket",
    "GET /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 0",
  ];
  for (const head of heads) {
    const answer = await exchange(front, `${head}\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 200 OK/, head);
  }
  const head = await exchange(front, "HEAD /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assert.match(head, /^content-length: [1-9]\d*\r$/m);
  assert.ok(head.endsWith("\r\n\r\n"));
});

test("all header lines up to the limit are part of the signature", async (context) => {
  const front = await listening(context, { headerLinesMax: 3000, headerBytesMax: 65_536 });
  const post = signedPost(front, PATH, PATH);
  const lines = Array.from({ length: 2500 }, (_, i) => `a${i}:b\r\n`).join("");
  const answer = await exchange(front, post.replace("HTTP/1.1\r\n", `HTTP/1.1\r\n${lines}`));
  assert.match(answer, /^HTTP\/1\.1 200 OK/);
});

test("the headers of a request with an absolute target have its host", () => {
  const request = {
    url: "http://example:1/a?b",
    httpVersion: "1.1",
    headers: { host: "x" },
    rawHeaders: ["A", "b", "HOST", "x"],
  };
  normaliseTarget(request as unknown as IncomingMessage);
  assert.deepEqual(request, {
    url: "/a?b",
    httpVersion: "1.1",
    headers: { host: "example:1" },
    rawHeaders: ["A", "b", "HOST", "example:1"],
  });
});
