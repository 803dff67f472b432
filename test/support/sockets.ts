// Raw connections to a listening server: a test writes the exact bytes of a request.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { FastifyInstance } from "fastify";
import type { AppOptions } from "../../src/server/doors/runtime.ts";
import type { Settings } from "../../src/settings.ts";
import { aFront, type Front, PATH, signedHeaders } from "./front.ts";

export interface Listening extends Front {
  readonly origin: string;
}

/** A runtime door that listens until the test ends. */
export async function listening(
  context: TestContext,
  settings: Partial<Settings> = {},
  options: Partial<AppOptions> = {},
): Promise<Listening> {
  const front = aFront(settings, options);
  await front.app.listen({ host: "127.0.0.1", port: 0 });
  context.after(() => front.app.close());
  const { port } = front.app.server.address() as AddressInfo;
  return { ...front, origin: `http://127.0.0.1:${port}` };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

export function connected(to: FastifyInstance | Server): Promise<Socket> {
  const { port } = ("server" in to ? to.server : to).address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket)).on("error", reject);
  });
}

/** Everything that arrives until the server closes the connection. */
export function received(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => resolve(text)).on("error", reject);
  });
}

/** Sends bytes on a connection of their own, and returns everything that the server answers. */
export async function answerTo(app: FastifyInstance, bytes: string): Promise<string> {
  const socket = await connected(app);
  const answer = received(socket);
  socket.write(bytes);
  return answer;
}

/** A promise and what resolves it. */
export function deferred() {
  let release: () => void = () => {};
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}

/** One whole answer. Asserts that it is an error in the usual form. */
export function assertRawError(answer: string, status: number, type: string, what = ""): void {
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  const [start = "", ...lines] = head.split("\r\n");
  assert.match(start, new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`), `${what}: ${answer}`);
  const headers = new Map(lines.map((line) => line.split(": ", 2) as [string, string]));
  assert.equal(headers.get("x-amzn-errortype"), type);
  assert.match(headers.get("x-amzn-requestid") ?? "", /^[0-9a-f-]{36}$/);
  assert.equal(headers.get("content-type"), "application/json");
  assert.equal(headers.get("content-length"), String(Buffer.byteLength(body)));
  assert.equal(typeof JSON.parse(body).message, "string");
}

/** The head of a signed POST to `PATH`, with the blank line that ends it. */
export function postHead(
  origin: string,
  body: string,
  extra: Record<string, string> = {},
  path = PATH,
): string {
  const headers = { ...signedHeaders(body, { origin, path }), ...extra };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** A whole signed request for a text. */
export function postRequest(
  origin: string,
  body: unknown,
  headers: Record<string, string> = {},
  path = PATH,
): string {
  const text = JSON.stringify(body);
  const length = { "content-length": String(Buffer.byteLength(text)) };
  return postHead(origin, text, { ...length, ...headers }, path) + text;
}

/** Resolves with all that has arrived as soon as that matches. */
export function until(socket: Socket, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const onData = (chunk: Buffer | string): void => {
      text += chunk;
      if (!pattern.test(text)) return;
      socket.off("data", onData);
      resolve(text);
    };
    socket.on("data", onData);
    socket.once("close", () => reject(new Error(`the connection closed after ${JSON.stringify(text)}`)));
  });
}
