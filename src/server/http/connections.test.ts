// Connections: their limits, the order of answers, and what ends together with a connection.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { decodeFrames } from "../../../test/support/event-stream.ts";
import { CREDENTIAL, STREAM_PATH } from "../../../test/support/front.ts";
import {
  answerTo,
  assertRawError,
  connected,
  listening,
  postHead,
  postRequest,
  received,
  until,
} from "../../../test/support/sockets.ts";
import type { Settings } from "../../settings.ts";
import type { AppOptions } from "../doors/runtime.ts";
import type { RequestRecord } from "./http-app.ts";

/** Shorter than every default time limit. A test that takes longer did not use the setting. */
const IN_TIME = { timeout: 20_000 };
const ONE = { input: "Hello", num_return_sequences: 1, seed: 1 };
/** An answer that is too large for the socket buffers. */
const LONG = { input: "x".repeat(600_000), num_return_sequences: 64, seed: 1 };

/** A runtime door that records finished requests, so that a test can wait for them. */
async function observed(
  context: TestContext,
  settings: Partial<Settings> = {},
  options: Partial<AppOptions> = {},
) {
  const finished: { record: RequestRecord; status: number | "aborted" }[] = [];
  let onFinished = (): void => {};
  const front = await listening(context, settings, {
    ...options,
    onFinished: (record, status) => {
      finished.push({ record: { ...record }, status });
      onFinished();
    },
  });
  const untilFinished = async (count: number): Promise<(number | "aborted")[]> => {
    while (finished.length < count) {
      await new Promise<void>((resolve) => {
        onFinished = resolve;
      });
    }
    return finished.map(({ status }) => status);
  };
  return { ...front, finished, untilFinished };
}

test(
  "what does not come in time is answered with 408: a head, a body, anything",
  IN_TIME,
  async (context) => {
    const cases: [settings: Partial<Settings>, begun: (origin: string) => string][] = [
      [{ headersTimeoutMs: 50 }, () => ""],
      [{ headersTimeoutMs: 50 }, () => "GET /ping HTTP/1.1\r\nHos"],
      [{ requestTimeoutMs: 100 }, (origin) => postHead(origin, "{}", { "content-length": "2" })],
      [{ requestTimeoutMs: 100 }, () => ""],
    ];
    for (const [settings, begun] of cases) {
      const { app, origin } = await listening(context, settings);
      assertRawError(await answerTo(app, begun(origin)), 408, "RequestTimeoutException");
    }
  },
);

test("a time limit for heads may be longer than Node's own for requests", async (context) => {
  const { app } = await listening(context, { headersTimeoutMs: 600_000, requestTimeoutMs: 3_600_000 });
  assert.deepEqual([app.server.headersTimeout, app.server.requestTimeout], [600_000, 3_600_000]);
});

test("an idle connection is closed after its time", IN_TIME, async (context) => {
  const { app } = await listening(context, { keepAliveTimeoutMs: 50 });
  assert.match(await answerTo(app, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"), /^HTTP\/1\.1 200 OK/);
});

test(
  "a refusal is not followed by another when the rest of its body does not come",
  IN_TIME,
  async (context) => {
    const { app } = await listening(context, { requestTimeoutMs: 100 });
    assertRawError(
      await answerTo(
        app,
        "POST /endpoints/gpt-2/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
      ),
      403,
      "MissingAuthenticationTokenException",
    );
  },
);

test("an answer that is not read in time is given up, and logged as aborted", IN_TIME, async (context) => {
  const { app, origin, untilFinished } = await observed(context, { answerTimeoutMs: 100 });
  const socket = await connected(app);
  socket.on("error", () => {});
  socket.write(postRequest(origin, LONG));
  assert.deepEqual(await untilFinished(1), ["aborted"]);
});

test("a request counts as open for its key until its answer is sent", async (context) => {
  const { app, origin, untilFinished } = await observed(context, { keyRequestsMax: 1 });
  const slow = await connected(app);
  slow.write(postRequest(origin, LONG));
  await once(slow, "data");
  slow.pause();
  const ask = async (): Promise<string> => {
    const socket = await connected(app);
    const answer = received(socket);
    socket.write(postRequest(origin, ONE, { connection: "close" }));
    return answer;
  };
  assertRawError(await ask(), 429, "ThrottlingException");
  slow.resume();
  assert.deepEqual((await untilFinished(2)).sort(), [200, 429]);
  assert.match(await ask(), /^HTTP\/1\.1 200 OK/);
});

test("pipelined requests wait for their turn", async (context) => {
  const { app, generator, origin } = await listening(context);
  const release = generator.holdAnswers();
  const socket = await connected(app);
  const answers = received(socket);
  const ask = (seed: number, headers = {}) => postRequest(origin, { ...ONE, seed }, headers);
  socket.write(ask(1) + ask(2) + ask(3, { connection: "close" }));
  await generator.wasAsked;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(generator.asked.length, 1);
  release();
  const seeds = [...(await answers).matchAll(/^x-gpt2-seed: (\d)/gm)].map(([, seed]) => seed);
  assert.deepEqual(seeds, ["1", "2", "3"]);
});

test("when a connection ends, all its requests end and are logged, also those that wait for their turn", async (context) => {
  let numLookUps = 0;
  const keyPair = () => {
    numLookUps++;
    return { ...CREDENTIAL, endpoints: "*" } as const;
  };
  const keys = { keyPair, apiKey: () => undefined };
  const { app, generator, origin, finished, untilFinished } = await observed(context, {}, { keys });
  generator.waits = true;
  const socket = await connected(app);
  socket.write(postRequest(origin, ONE).repeat(4));
  await generator.wasAsked;
  socket.destroy();
  await generator.wasCancelled;
  assert.deepEqual(await untilFinished(4), Array(4).fill("aborted"));
  assert.equal(generator.asked.length, 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(numLookUps, 1);
  const { operation, endpoint, totalMs } = finished[0]?.record ?? {};
  assert.deepEqual([operation, endpoint, typeof totalMs], ["InvokeEndpoint", "gpt-2", "number"]);
});

test("bytes that are not a request are answered in their turn", async (context) => {
  const { app, generator, origin } = await listening(context);
  const release = generator.holdAnswers();
  const accepted = once(app.server, "connection");
  const errors = new EventEmitter();
  app.server.on("clientError", () => errors.emit("error seen"));
  const socket = await connected(app);
  const answers = received(socket);
  const wrong = once(errors, "error seen");
  socket.write(`${postRequest(origin, ONE)}NONSENSE\r\n\r\n`);
  await Promise.all([generator.wasAsked, wrong]);
  // Node may report a timeout or more invalid bytes while that answer waits.
  const late = Object.assign(new Error("late"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
  app.server.emit("clientError", late, ...(await accepted));
  release();
  const text = await answers;
  const second = text.indexOf("HTTP/1.1 400");
  assert.match(text.slice(0, second), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n\["Hello and more é"\]$/s);
  assertRawError(text.slice(second), 400, "MalformedHttpRequestException");
  assert.equal(app.connections.stats.refused.malformed, 1);
});

test("a request with a broken body is answered once, after the one before it, and never handled", async (context) => {
  let numLookUps = 0;
  const keyPair = () => {
    numLookUps++;
    return { ...CREDENTIAL, endpoints: "*" as const };
  };
  const { app, generator, origin } = await listening(
    context,
    {},
    { keys: { keyPair, apiKey: () => undefined } },
  );
  const release = generator.holdAnswers();
  const socket = await connected(app);
  const answers = received(socket);
  const broken = postHead(origin, "{}", { "transfer-encoding": "chunked" });
  socket.write(`${postRequest(origin, ONE)}${broken}nonsense\r\n`);
  await generator.wasAsked;
  release();
  assert.deepEqual((await answers).match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 200", "HTTP/1.1 400"]);
  assert.deepEqual([generator.asked.length, numLookUps], [1, 1]);
});

test("a stream that is not read ends with an exception and its generation is cancelled; another goes on", async (context) => {
  const { app, generator, origin } = await listening(context, { unreadBytesMax: 16_384 });
  generator.waits = true;
  generator.pieces = Array.from({ length: 3 }, () => ({ index: 0, text: "x".repeat(10_000) }));
  const ask = async (): Promise<Buffer> => {
    const socket = await connected(app);
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.write(postRequest(origin, ONE, { connection: "close" }, STREAM_PATH));
    await once(socket, "end");
    const whole = Buffer.concat(chunks);
    return whole.subarray(whole.indexOf("\r\n\r\n") + 4);
  };
  const frames = decodeFrames(unchunked(await ask()));
  await generator.wasCancelled;
  assert.deepEqual(
    frames.map(({ headers }) => headers[":event-type"] ?? headers[":exception-type"]),
    ["PayloadPart", "PayloadPart", "ModelStreamError"],
  );
  const { ErrorCode, Message } = JSON.parse(String(frames.at(-1)?.payload));
  assert.equal(ErrorCode, "StreamBroken");
  assert.match(Message, /^more than 16384 bytes of the stream were not read/);
  generator.waits = false;
  generator.pieces = [{ index: 0, text: "Hello and more é" }];
  assert.equal(decodeFrames(unchunked(await ask())).at(-1)?.headers[":event-type"], "PayloadPart");
});

/** The bytes of a body with `Transfer-Encoding: chunked`. */
function unchunked(body: Buffer): Buffer {
  const size = Number.parseInt(body.toString("latin1"), 16);
  const start = body.indexOf("\r\n") + 2;
  if (size === 0) return Buffer.alloc(0);
  return Buffer.concat([body.subarray(start, start + size), unchunked(body.subarray(start + size + 2))]);
}

test("the limit of connections holds over all listeners together", async (context) => {
  const { app } = await listening(context, { connectionsMax: 2 });
  const elsewhere = createServer((socket) => app.connections.accept(socket)).listen(0, "127.0.0.1");
  context.after(() => elsewhere.close());
  await once(elsewhere, "listening");
  const ping = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
  const first = await connected(app);
  first.write(ping);
  await until(first, /200 OK/);
  const second = await connected(elsewhere);
  second.write(ping);
  await until(second, /200 OK/);
  for (const server of [app, elsewhere]) {
    const third = await connected(server);
    third.on("error", () => {});
    await once(third, "close");
  }
  assert.deepEqual(app.connections.stats, {
    open: 2,
    requests: 0,
    refused: { full: 2, handshake: 0, malformed: 0 },
  });
  const left = once(second, "close");
  second.end();
  await left;
  const next = await connected(app);
  next.write(ping);
  await until(next, /200 OK/);
});

test("connections of the second listener count for the limit of the first", async (context) => {
  const { app } = await listening(context, { connectionsMax: 1 });
  const elsewhere = createServer((socket) => app.connections.accept(socket)).listen(0, "127.0.0.1");
  context.after(() => elsewhere.close());
  await once(elsewhere, "listening");
  const ping = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
  const first = await connected(elsewhere);
  first.write(ping);
  await until(first, /200 OK/);
  // To Node, 0 means no limit, so the limit is at least 1, and one more connection is let in.
  const more = await Promise.all([connected(app), connected(app), connected(app)]);
  const closed = more.map((socket) =>
    once(
      socket.on("error", () => {}),
      "close",
    ),
  );
  await Promise.race(closed);
  while (app.connections.stats.refused.full < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(app.connections.stats.open, 2);
});

test("a connection ends after its last allowed request, whose answer says so, also if it waited for its turn", async (context) => {
  const { app, generator, origin } = await listening(context, { connectionRequestsMax: 3 });
  const release = generator.holdAnswers();
  const socket = await connected(app);
  const answers = received(socket);
  const request = postRequest(origin, { input: "", num_return_sequences: 1 });
  socket.write(request.repeat(4)); // The client could not know yet that the fourth is too many, so it is answered too.
  while (app.connections.stats.requests < 4) await new Promise((resolve) => setImmediate(resolve));
  release();
  const text = await answers;
  assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 4);
  assert.equal(text.match(/connection: close/gi)?.length, 1);
  assert.ok(text.search(/connection: close/i) > text.lastIndexOf("HTTP/1.1 200"));
});
