import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import type { FakeGenerator } from "../../test/support/fake-generator.ts";
import { aFront, PATH, STREAM_PATH, signedHeaders } from "../../test/support/front.ts";
import {
  connected,
  deferred,
  freePort,
  listening,
  postHead,
  postRequest,
  until,
} from "../../test/support/sockets.ts";
import { GptError } from "../errors.ts";
import { DEFAULT_SETTINGS, type Settings } from "../settings.ts";
import type { App } from "./http/http-app.ts";
import { listenOnAll } from "./http/listen.ts";
import { Metrics } from "./http/metrics.ts";
import { drain, run, type ServerParts, watch } from "./lifecycle.ts";

test("a stop waits for open requests; after its time limit it cancels them with an error", async (context) => {
  const { app, generator } = aFront();
  await app.listen({ host: "127.0.0.1", port: 0 });
  const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  generator.waits = true;
  const body = '{"input":""}';
  const headers = signedHeaders(body, { origin });
  const answer = fetch(origin + PATH, { method: "POST", headers, body });
  await generator.wasAsked;
  await new Promise((resolve) => setImmediate(resolve));
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let closings = 0;
  const models = {
    stopReloads() {},
    async close() {
      closings++;
      generator.cancel();
    },
  };
  const drained = drain([app], models, 5000);
  context.mock.timers.tick(4999);
  assert.equal(closings, 0);
  context.mock.timers.tick(1);
  assert.equal(closings, 1);
  context.mock.timers.reset(); // The timer of the request's deadline was real, so only the real `clearTimeout` can stop it.
  const response = await answer;
  assert.deepEqual([response.status, response.headers.get("x-amzn-errortype")], [503, "ServiceUnavailable"]);
  await drained;
  assert.equal(closings, 2);
});

test("a stop ends at most three quarters of a second after its time limit, whatever hangs", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const never = () => new Promise<never>(() => {});
  const events: string[] = [];
  const app = { close: never, connections: { cut: () => events.push("cut") } } as unknown as App;
  const models = {
    stopReloads: () => events.push("no reloads"),
    close() {
      events.push("cancelled");
      return never();
    },
  };
  const drained = drain([app], models, 5000).then(() => events.push("over"));
  const steps: [ms: number, events: string[]][] = [
    [4999, ["no reloads"]],
    [1, ["no reloads", "cancelled"]],
    [499, ["no reloads", "cancelled"]],
    [1, ["no reloads", "cancelled", "cut"]],
    [249, ["no reloads", "cancelled", "cut"]],
    [1, ["no reloads", "cancelled", "cut", "over"]],
  ];
  for (const [ms, expected] of steps) {
    context.mock.timers.tick(ms);
    await Promise.resolve().then(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(events, expected);
  }
  await drained;
});

/** The parts of a server whose model loads for ever and whose engines cannot be closed. */
function hungParts(settings: Partial<Settings> = {}): ServerParts & { readonly generator: FakeGenerator } {
  const all = { ...DEFAULT_SETTINGS, port: 0, ...settings };
  const { app, generator } = aFront(all);
  const never = () => new Promise<never>(() => {});
  const models = {
    ready: never,
    byEndpoint: () => new Map(),
    byFirstEndpoint: () => new Map(),
    reload: never,
    look: never,
    stopReloads: () => {},
    stateOf: () => "loading",
    fatalError: never(),
    close: never,
  };
  return {
    door: "runtime",
    app,
    models,
    metrics: undefined,
    files: [],
    settings: all,
    onReload: () => {},
    generator,
  };
}

test("a stop ends in time, with open connections of every kind and while a model loads", {
  timeout: 20_000,
}, async () => {
  const { generator, ...parts } = hungParts({ drainTimeoutMs: 100 });
  const { promise: stopped, release: stop } = deferred();
  generator.waits = true;
  const code = run({ ...parts, stopped }, () => assert.fail("it is not ready"));
  const { app } = parts;
  await once(app.server, "listening");
  const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const begun = [
    "",
    "GET /ping HTTP/1.1\r\nHo",
    postHead(origin, "{}", { "content-length": "2" }),
    postHead(origin, "{}", { "transfer-encoding": "chunked" }),
    postRequest(origin, { input: "" }),
    postRequest(origin, { input: "" }, {}, STREAM_PATH).repeat(3),
  ];
  const sockets = await Promise.all(begun.map(() => connected(app)));
  const ends = sockets.map((socket) => once(socket.on("error", () => {}).resume(), "close"));
  for (const [i, text] of begun.entries()) sockets[i]?.write(text);
  while (generator.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  stop();
  assert.equal(await code, 0);
  await Promise.all(ends);
});

test("for --drain-delay-ms a stop is only announced: requests are accepted, and the admin port reports it", async () => {
  const settings = { drainDelayMs: 600_000, adminPort: await freePort() };
  const { generator, ...parts } = hungParts(settings);
  const ready = { ...parts.models, ready: async () => {}, byEndpoint: () => new Map([["gpt-2", generator]]) };
  const { promise: failed, release: fail } = deferred();
  const fatalError = failed.then(() => new GptError("engine_failed", "some cause"));
  const models = { ...ready, fatalError, close: async () => {} };
  const { promise: stopped, release: stop } = deferred();
  const { promise: listens, release: onReady } = deferred();
  const metrics = new Metrics(() => new Map());
  const code = run({ ...parts, models, metrics, stopped }, onReady);
  await listens;
  const { port } = parts.app.server.address() as AddressInfo;
  const status = async (path: string, at = port) => (await fetch(`http://127.0.0.1:${at}${path}`)).status;
  assert.deepEqual([await status("/ping"), await status("/readyz", settings.adminPort)], [200, 200]);
  stop();
  while (!parts.app.connections.isLeaving) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([await status("/ping"), await status("/readyz", settings.adminPort)], [503, 503]);
  const body = '{"input":""}';
  const origin = `http://127.0.0.1:${port}`;
  const headers = signedHeaders(body, { origin });
  const answer = await fetch(origin + PATH, { method: "POST", headers, body });
  assert.deepEqual([answer.status, answer.headers.get("connection")], [200, "close"]);
  // An engine that has failed for good ends the waiting.
  fail();
  assert.equal(await code, 0);
});

test("an admin port that other machines reach is told of", async (context) => {
  for (const [adminHost, numWarnings] of [
    ["127.0.0.1", 0],
    ["0.0.0.0", 1],
  ] as const) {
    const { generator, ...parts } = hungParts({ adminPort: await freePort(), adminHost });
    const models = { ...parts.models, ready: async () => {}, close: async () => {} };
    const warn = context.mock.method(parts.app.log, "warn", () => {});
    const { promise: stopped, release: stop } = deferred();
    const metrics = new Metrics(() => new Map());
    assert.equal(await run({ ...parts, models, metrics, stopped }, stop), 0);
    const told = warn.mock.calls.map(({ arguments: [message] }) => String(message));
    assert.equal(told.filter((text) => /^everybody who reaches .*no key/.test(text)).length, numWarnings);
    warn.mock.restore();
  }
});

test("a start that fails ends, even while a model loads", async (context) => {
  const { app } = await listening(context);
  const { port } = app.server.address() as AddressInfo;
  const { generator: _, ...parts } = hungParts({ port });
  const never = new Promise<never>(() => {});
  await assert.rejects(
    run({ ...parts, stopped: never }, () => {}),
    { code: "cannot_listen", message: /the port is in use/ },
  );
});

test("a start that fails leaves nothing listening", async () => {
  const { generator: _, ...parts } = hungParts();
  const ready = async (): Promise<never> => {
    await once(parts.app.server, "listening");
    throw new GptError("invalid_checkpoint", "some cause");
  };
  const models = { ...parts.models, ready };
  const never = new Promise<never>(() => {});
  await assert.rejects(
    run({ ...parts, models, stopped: never }, () => {}),
    { code: "invalid_checkpoint" },
  );
  assert.equal(parts.app.server.listening, false);
});

test("a failure after the beginning of a stop is ignored", async () => {
  const { generator: _, ...parts } = hungParts({ drainTimeoutMs: 0 });
  const stopped = Promise.resolve();
  const ready = () =>
    stopped.then(() => new Promise<never>((_, reject) => setImmediate(reject, new Error("late"))));
  assert.equal(await run({ ...parts, models: { ...parts.models, ready }, stopped }, () => {}), 0);
});

test("no timer is left after a stop", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let closings = 0;
  const app = { close: async () => {}, connections: { cut: assert.fail } } as unknown as App;
  const models = {
    stopReloads: () => {},
    close: async () => {
      closings++;
    },
  };
  await drain([app], models, 5000);
  context.mock.timers.tick(10_000);
  assert.equal(closings, 1);
});

test("a server on several addresses has one limit of connections and one stop", async (context) => {
  const { app } = aFront({ connectionsMax: 1 });
  await listenOnAll(app, ["127.0.0.1", "::1"], 0);
  context.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const at = (host: string) => connect(port, host).on("error", () => {});
  const first = at("127.0.0.1");
  const ping = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
  first.write(ping);
  await until(first, /200 OK/);
  const refused = at("::1");
  await once(refused, "close");
  const left = once(first, "close");
  first.end();
  await left;
  while (app.connections.stats.open > 0) await new Promise((resolve) => setImmediate(resolve));
  const second = at("::1");
  second.write(ping);
  if (!hasLoopback6()) return; // This machine has no IPv6.
  await until(second, /200 OK/);
  await Promise.all([app.close(), once(second, "close")]);
  const late = at("::1");
  const [error] = await once(late, "error");
  assert.equal(error.code, "ECONNREFUSED");
});

function hasLoopback6(): boolean {
  return Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === "::1"));
}

test("--watch-model looks every ten seconds, never twice at once, and asks the hub less often", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const looks: boolean[] = [];
  let { promise: looked, release } = deferred();
  const models = {
    look: (asksHub: boolean) => {
      looks.push(asksHub);
      return looked;
    },
  };
  const stop = watch(models, { watchHubIntervalMs: 30_000 });
  const pass = async (ms: number): Promise<void> => {
    context.mock.timers.tick(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  await pass(9999);
  assert.deepEqual(looks, []);
  await pass(1);
  await pass(10_000);
  assert.deepEqual(looks, [false], "the first is not over");
  release();
  ({ promise: looked, release } = deferred());
  release();
  await pass(0);
  for (let i = 0; i < 4; i++) await pass(10_000);
  assert.deepEqual(looks, [false, true, false, false, true]);
  stop();
  await pass(100_000);
  assert.equal(looks.length, 5);
});
