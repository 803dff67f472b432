// The orderly stop of a server, as its clients see it: no request is lost, and each answer says that its connection ends.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import type { FastifyInstance } from "fastify";
import { STREAM_PATH } from "../../../test/support/front.ts";
import {
  connected,
  deferred,
  listening,
  postRequest,
  received,
  until,
} from "../../../test/support/sockets.ts";

const ONE = { input: "Hello", num_return_sequences: 1, seed: 1 };
const PING = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";

/** Everything until the connection ends; a reset fails the test. */
async function pinged(socket: Socket): Promise<string> {
  const text = received(socket);
  const answered = until(socket, /^HTTP\/1\.1 200 OK.*\r\n\r\n\{.*\}/s);
  socket.write(PING);
  await answered;
  return text;
}

/** Begins a stop. The promise resolves when it is over. */
async function stopping(app: FastifyInstance): Promise<{ closed: Promise<unknown> }> {
  const closed = app.close();
  while (!app.connections.isStopping) await new Promise((resolve) => setImmediate(resolve));
  return { closed };
}

const statuses = (text: string) => text.match(/HTTP\/1\.1 \d+/g)?.map((line) => Number(line.slice(-3)));

test("a pending answer is sent during a stop, and says that its connection ends", async (context) => {
  const { app, generator, origin } = await listening(context);
  const release = generator.holdAnswers();
  const socket = await connected(app);
  const answer = received(socket);
  socket.write(postRequest(origin, ONE));
  await generator.wasAsked;
  const { closed } = await stopping(app);
  release();
  const text = await answer;
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*connection: close\r\n/i);
  assert.match(text, /\r\n\r\n\["Hello and more é"\]$/);
  await closed;
});

test("a request on its way on an idle connection is answered; other connections end without a reset", async (context) => {
  const { app } = await listening(context);
  const [quiet, busy, silent] = await Promise.all([connected(app), connected(app), connected(app)]);
  const idle = pinged(quiet);
  const used = pinged(busy);
  const nothing = received(silent);
  await Promise.all([until(quiet, /\}/), until(busy, /\}/)]);
  const { closed } = await stopping(app);
  busy.write(PING);
  assert.deepEqual(statuses(await used), [200, 503]);
  assert.match(await used, /connection: close/i);
  assert.deepEqual(statuses(await idle), [200]);
  assert.doesNotMatch(await idle, /connection: close/i);
  assert.equal(await nothing, "");
  await closed;
});

test("an empty line behind a request is none: its connection ends like an idle one", {
  timeout: 20_000,
}, async (context) => {
  const { app } = await listening(context);
  const socket = await connected(app);
  const text = pinged(socket);
  await until(socket, /\}/);
  socket.write("\r\n");
  const other = await connected(app);
  const answered = pinged(other); // By its answer the empty line has arrived too.
  await until(other, /\}/);
  const { closed } = await stopping(app);
  await closed;
  assert.deepEqual([statuses(await text), statuses(await answered)], [[200], [200]]);
});

test("a request that had partly arrived when the stop began is answered", async (context) => {
  const { app } = await listening(context);
  const [half, idle] = await Promise.all([connected(app), connected(app)]);
  const sent = pinged(half);
  await until(half, /\}/);
  half.write(PING.slice(0, 20));
  const ended = pinged(idle);
  await until(idle, /\}/);
  const { closed } = await stopping(app);
  await ended; // By now idle connections are ended.
  half.write(PING.slice(20));
  assert.deepEqual(statuses(await sent), [200, 503]);
  await closed;
});

test("an announced stop shows in /ping and in every answer, while connections and requests are accepted", async (context) => {
  const { app, generator, origin } = await listening(context);
  const release = generator.holdAnswers();
  const [open, idle] = await Promise.all([connected(app), connected(app)]);
  const answers = [open, idle].map(received);
  open.write(postRequest(origin, ONE));
  idle.write(PING);
  await Promise.all([generator.wasAsked, until(idle, /\}/)]);
  app.connections.leave();
  const late = await connected(app);
  const answer = received(late);
  late.write(postRequest(origin, ONE));
  idle.write(PING);
  assert.deepEqual(statuses(await (answers[1] as Promise<string>)), [200, 503]);
  release();
  for (const text of [await answers[0], await answer]) {
    assert.match(text ?? "", /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*connection: close\r\n/i);
  }
  assert.equal(app.connections.isStopping, false);
});

test("after a stream that began before the stop its connection ends, even if others are open", async (context) => {
  const { app, generator, origin } = await listening(context);
  generator.pieces = [{ index: 0, text: "Hello" }];
  generator.text = "Hello";
  const first = deferred();
  generator.hold = first.promise;
  const stream = await connected(app);
  const begun = until(stream, /200 OK/);
  stream.write(postRequest(origin, ONE, {}, STREAM_PATH));
  await begun;
  const second = deferred();
  generator.hold = second.promise;
  const other = await connected(app);
  const answer = received(other);
  other.write(postRequest(origin, ONE));
  while (generator.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  const idle = received(await connected(app));
  const { closed } = await stopping(app);
  await idle; // By now idle connections are ended.
  const streamed = received(stream);
  first.release();
  await streamed;
  second.release();
  assert.match(await answer, /^HTTP\/1\.1 200 OK/);
  await closed;
});

test("pipelined requests are answered in a stop, and the last answer says that the connection ends", async (context) => {
  const { app, generator, origin } = await listening(context);
  const release = generator.holdAnswers();
  const socket = await connected(app);
  const answers = received(socket);
  socket.write(postRequest(origin, ONE).repeat(2));
  await generator.wasAsked;
  const { closed } = await stopping(app);
  socket.write(PING);
  while (app.connections.stats.requests < 3) await new Promise((resolve) => setImmediate(resolve));
  release();
  const text = await answers;
  assert.deepEqual(statuses(text), [200, 200, 503]);
  assert.equal(text.match(/connection: close/gi)?.length, 1);
  assert.ok(text.search(/connection: close/i) > text.lastIndexOf("HTTP/1.1 503"));
  await closed;
});

test("a connection that the second listener still accepted when the stop began is closed unserved", async (context) => {
  const { app, generator, origin } = await listening(context);
  const { promise, release } = deferred();
  generator.hold = promise;
  const elsewhere = createServer((socket) => app.connections.accept(socket)).listen(0, "127.0.0.1");
  context.after(() => elsewhere.close());
  await once(elsewhere, "listening");
  const socket = await connected(app);
  const answer = received(socket);
  socket.write(postRequest(origin, ONE));
  await generator.wasAsked;
  const { closed } = await stopping(app);
  const late = await connected(elsewhere);
  let text = "";
  late
    .on("error", () => {})
    .on("data", (chunk) => {
      text += chunk;
    });
  late.write(PING);
  await once(late, "close");
  release();
  assert.deepEqual(statuses(await answer), [200]);
  await closed;
  assert.equal(text, "");
  assert.equal(app.connections.stats.refused.full, 1);
});

test("a client that does not close its side of an ended connection is not waited for", async (context) => {
  const { app } = await listening(context);
  const { port } = app.server.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const answered = until(socket, /\}/);
  socket.write(PING);
  await answered;
  await app.close();
});

test("connections that do not end in time are cut", async (context) => {
  const { app, generator, origin } = await listening(context);
  generator.waits = true;
  const [computing, silent] = await Promise.all([connected(app), connected(app)]);
  computing.write(postRequest(origin, ONE));
  await generator.wasAsked;
  const ends = [computing, silent].map((socket) => once(socket.on("error", () => {}).resume(), "close"));
  const { closed } = await stopping(app);
  app.connections.cut();
  await Promise.all([...ends, closed]);
  await generator.wasCancelled;
});
