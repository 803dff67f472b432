import assert from "node:assert/strict";
import { test } from "node:test";
import { aFile } from "../../../test/support/changing-file.ts";
import { FakeGenerator } from "../../../test/support/fake-generator.ts";
import { aFront, post } from "../../../test/support/front.ts";
import { connected, listening, received, until } from "../../../test/support/sockets.ts";
import { GptError } from "../../errors.ts";
import { WatchedFile } from "../../files/watched-file.ts";
import type { Generator } from "../../request/generation.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../settings.ts";
import { keyPairFile } from "../access/key-files.ts";
import { Metrics, type Reloads } from "../http/metrics.ts";
import { createAdminApp, type ReloadAnswer, type ReloadNote } from "./admin.ts";
import type { CallersDoor } from "./openapi.ts";

const NO_NEWS = {
  reloadNote: undefined,
  problem: undefined,
  outcomes: { replaced: 0, unchanged: 0, refused: 0, failed: 0 },
};

function anAdmin(
  settings: Partial<Settings> = {},
  door: CallersDoor = "runtime",
  files: readonly WatchedFile<unknown>[] = [],
) {
  const generator = new FakeGenerator();
  const generators = new Map<string, Generator | undefined>([["gpt-2", generator]]);
  const metrics = new Metrics(() => new Map([["gpt-2", generator]]));
  metrics.watchFiles(files);
  metrics.watchModels(() => generators, "1.2.3");
  const state = { isLeaving: false };
  const reloads = new Map<string, ReloadNote & Reloads>([["gpt-2", { ...NO_NEWS }]]);
  metrics.watchReloads(() => reloads);
  const asked: (string | undefined)[] = [];
  const outcomes: ReloadAnswer[] = [];
  const app = createAdminApp({
    settings: { ...DEFAULT_SETTINGS, ...settings },
    door,
    baseUrl: () => "http://here:1",
    metrics,
    generators: () => generators,
    stateOf: (endpoint) => `downloading ${endpoint} 45 %`,
    files,
    isLeaving: () => state.isLeaving,
    reloads: () => reloads,
    reload: async (endpoint) => {
      asked.push(endpoint);
      return outcomes;
    },
  });
  return { app, metrics, generator, generators, reloads, asked, outcomes, state };
}

test("/readyz succeeds while all endpoints answer, /healthz also while they may recover", async () => {
  const { app, generator, generators } = anAdmin();
  const statuses = async () => [
    (await app.inject({ url: "/healthz" })).statusCode,
    (await app.inject({ url: "/readyz" })).statusCode,
  ];
  assert.deepEqual(await statuses(), [200, 200]);
  generator.health = "restarting";
  assert.deepEqual(await statuses(), [200, 503]);
  generator.health = "failed";
  assert.deepEqual(await statuses(), [503, 503]);
  assert.match((await app.inject({ url: "/readyz" })).json().Message, /"gpt-2":"failed"/);
  generator.health = "ready";
  generators.set("other", undefined);
  assert.deepEqual(await statuses(), [200, 503]);
  assert.deepEqual((await app.inject({ url: "/healthz" })).json(), {
    "gpt-2": "ready",
    other: "downloading other 45 %",
  });
});

test("an announced stop makes /readyz fail, but not /healthz", async () => {
  const { app, state } = anAdmin();
  state.isLeaving = true;
  const readyz = await app.inject({ url: "/readyz" });
  assert.deepEqual([readyz.statusCode, readyz.json().Message], [503, "The server is stopping"]);
  assert.equal((await app.inject({ url: "/healthz" })).statusCode, 200);
});

test("/metrics has a model before it is loaded, and then its kernels and threads", async () => {
  const { app, generator, generators } = anAdmin();
  generators.set("other", undefined);
  const lines = async () => (await app.inject({ url: "/metrics" })).body.match(/^gpt2_(ready|info).*$/gm);
  const labels = 'endpoint="gpt-2",model="fake",precision="f32",kernels="none",threads="1"';
  const info = `gpt2_info{${labels},fingerprint="${generator.fingerprint}",version="1.2.3"} 1`;
  const ready = (other: number) => [
    `gpt2_ready{endpoint="gpt-2"} ${1 - other}`,
    `gpt2_ready{endpoint="other"} ${other}`,
  ];
  assert.deepEqual(await lines(), [...ready(0), info]);
  generator.health = "restarting";
  generators.set("other", new FakeGenerator());
  assert.deepEqual(await lines(), [...ready(1), info, info.replace("gpt-2", "other")]);
});

test("a metric is a counter if and only if its name ends in _total", async () => {
  const { app } = anAdmin();
  const { body } = await app.inject({ url: "/metrics" });
  const types = [...body.matchAll(/^# TYPE (\S+) (\w+)$/gm)];
  assert.ok(types.length > 20);
  for (const [line, name = "", type] of types)
    assert.equal(name.endsWith("_total"), type === "counter", line);
});

test("a key file that cannot be used makes /readyz fail, and is in /metrics", async (context) => {
  const { path, write, remove } = aFile(context, "keys.json");
  write({ keys: [] });
  const keys = keyPairFile(path, { keyFileGraceMs: 30_000, onProblem: () => {} });
  const certificate = aFile(context, "cert.pem");
  certificate.write("x");
  const cert = new WatchedFile({
    path: certificate.path,
    flag: "--tls-cert",
    parse: (text) => text,
    withoutFile: "the last good content",
    isSecret: false,
    onProblem: () => {},
  });
  const { app } = anAdmin({}, "runtime", [keys, cert]);
  const ready = async () => {
    const { statusCode, body } = await app.inject({ url: "/readyz" });
    return [statusCode, body] as const;
  };
  const usable = async () => (await app.inject({ url: "/metrics" })).body.match(/^gpt2_file_usable.*$/gm);
  const [flag, other] = ["--credentials-file", "--tls-cert"];
  assert.deepEqual(await ready(), [
    200,
    JSON.stringify({ "gpt-2": "ready", [flag]: "ready", [other]: "ready" }),
  ]);
  assert.deepEqual(await usable(), [
    `gpt2_file_usable{flag="${flag}"} 1`,
    `gpt2_file_usable{flag="${other}"} 1`,
  ]);
  write("half");
  assert.deepEqual(await usable(), [
    `gpt2_file_usable{flag="${flag}"} 0`,
    `gpt2_file_usable{flag="${other}"} 1`,
  ]);
  const [status, body] = await ready();
  assert.equal(status, 503);
  assert.match(JSON.parse(body).Message, /"--credentials-file":"it is not JSON"/);
  assert.equal((await app.inject({ url: "/healthz" })).statusCode, 200);
  write({ keys: [] });
  assert.equal((await ready())[0], 200);
  remove();
  assert.equal((await ready())[0], 503);
  write({ keys: [] });
  certificate.remove();
  assert.deepEqual(await ready(), [
    200,
    JSON.stringify({ "gpt-2": "ready", [flag]: "ready", [other]: "it is not there" }),
  ]);
});

test("a failed reload is reported by /readyz, which still succeeds, and by /metrics", async () => {
  const { app, reloads } = anAdmin();
  const ready = async () => {
    const { statusCode, body } = await app.inject({ url: "/readyz" });
    return [statusCode, JSON.parse(body)];
  };
  const lines = async () =>
    (await app.inject({ url: "/metrics" })).body.match(/^gpt2_(model_current|reloads_total)\{.*$/gm);
  assert.deepEqual(await ready(), [200, { "gpt-2": "ready" }]);
  assert.equal((await lines())?.[0], 'gpt2_model_current{endpoint="gpt-2"} 1');
  reloads.set("gpt-2", {
    reloadNote: "broken; the old one serves on",
    problem: "broken; the old one serves on",
    outcomes: { ...NO_NEWS.outcomes, replaced: 2, failed: 1 },
  });
  assert.deepEqual(await ready(), [
    200,
    { "gpt-2": "ready", "reload of gpt-2": "broken; the old one serves on" },
  ]);
  assert.deepEqual(await lines(), [
    'gpt2_model_current{endpoint="gpt-2"} 0',
    'gpt2_reloads_total{endpoint="gpt-2",result="replaced"} 2',
    'gpt2_reloads_total{endpoint="gpt-2",result="unchanged"} 0',
    'gpt2_reloads_total{endpoint="gpt-2",result="refused"} 0',
    'gpt2_reloads_total{endpoint="gpt-2",result="failed"} 1',
  ]);
});

test("POST /reload reloads one model or all, answers with the results, and refuses web pages", async () => {
  const { app, asked, outcomes } = anAdmin();
  const reload = async (url: string, headers = {}) => {
    const { statusCode, body } = await app.inject({ method: "POST", url, headers });
    return [statusCode, JSON.parse(body)] as const;
  };
  const well = { endpoints: ["gpt-2"], model: "tiny", result: "replaced", message: "done" } as const;
  outcomes.push(well);
  assert.deepEqual(await reload("/reload"), [200, { models: [well] }]);
  assert.deepEqual(await reload("/reload/gpt-2"), [200, { models: [well] }]);
  assert.deepEqual(asked, [undefined, "gpt-2"]);
  const [status, unknown] = await reload("/reload/nowhere");
  assert.deepEqual([status, unknown.Message], [400, 'There is no endpoint "nowhere", only gpt-2']);
  assert.equal((await reload("/reload", { origin: "http://evil.example" }))[0], 403);
  assert.equal((await app.inject({ url: "/reload" })).statusCode, 405);
  assert.equal(asked.length, 2);
  outcomes.push({ ...well, result: "failed" });
  assert.equal((await reload("/reload"))[0], 500);
});

test("/metrics counts requests by code, their times and tokens, and shows the engine's own numbers", async () => {
  const { app, metrics } = anAdmin();
  const front = aFront({}, { onFinished: (record, status) => metrics.finished(record, status) });
  await post(front.app, { input: "" });
  await post(front.app, { input: 5 });
  await post(front.app, { input: "" }, { path: "/endpoints/nowhere/invocations" });
  const response = await app.inject({ url: "/metrics" });
  assert.match(String(response.headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  const lines = response.body.split("\n");
  const expected = [
    'gpt2_requests_total{operation="InvokeEndpoint",endpoint="gpt-2",code="200"} 1',
    'gpt2_requests_total{operation="InvokeEndpoint",endpoint="gpt-2",code="424",error="invalid_field"} 1',
    'gpt2_requests_total{operation="InvokeEndpoint",endpoint="unknown",code="400",error="ValidationError"} 1',
    'gpt2_request_seconds_sum{endpoint="gpt-2",result="answered"} 0.003',
    'gpt2_first_token_seconds_sum{endpoint="gpt-2"} 0.002',
    'gpt2_queue_seconds_sum{endpoint="gpt-2"} 0.001',
    'gpt2_kv_pages{endpoint="gpt-2"} 8',
    "# TYPE gpt2_generated_tokens_total counter",
    "# TYPE nodejs_eventloop_lag_p99_seconds gauge",
  ];
  for (const line of expected) assert.ok(lines.includes(line), `${line}\n${response.body}`);
});

test("the times have failed generations too, labelled by result", async () => {
  const { app, metrics } = anAdmin();
  const { app: front, generator } = aFront(
    {},
    { onFinished: (record, status) => metrics.finished(record, status) },
  );
  for (const code of ["timed_out", "prompt_too_long", "engine_failed", "queue_full"] as const) {
    generator.failure = new GptError(code, "some cause");
    await post(front, { input: "" });
  }
  metrics.finished({ operation: "InvokeEndpoint", endpoint: "gpt-2", totalMs: 5 }, "aborted");
  const { body } = await app.inject({ url: "/metrics" });
  const counts = [...body.matchAll(/^gpt2_request_seconds_count\{.*result="(\w+)"\} (\d+)$/gm)];
  assert.deepEqual(
    counts.map(([, result, count]) => [result, count]),
    [
      ["timed_out", "1"],
      ["refused", "1"],
      ["failed", "2"],
      ["aborted", "1"],
    ],
  );
  assert.match(body, /^gpt2_requests_total\{.*code="424",error="timed_out"\} 1$/m);
  assert.match(body, /^gpt2_requests_total\{.*code="aborted"\} 1$/m);
});

test("/metrics has connections, and those that ended without a request", async (context) => {
  const { app, metrics } = anAdmin();
  const front = await listening(context);
  metrics.watch(front.app.connections);
  const socket = await connected(front.app);
  const answer = received(socket);
  socket.write("NONSENSE\r\n\r\n");
  await answer;
  const open = await connected(front.app);
  open.write("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(open, /200 OK/);
  while (front.app.connections.stats.open > 1) await new Promise((resolve) => setImmediate(resolve));
  const { body } = await app.inject({ url: "/metrics" });
  assert.match(body, /^gpt2_connections 1$/m);
  assert.match(body, /^gpt2_connections_refused_total\{reason="malformed"\} 1$/m);
  assert.match(body, /^gpt2_connections_refused_total\{reason="full"\} 0$/m);
});

test("time per token leaves the first token and its time out", async () => {
  const { app, metrics } = anAdmin();
  const record = {
    endpoint: "gpt-2",
    promptTokens: 1,
    generatedTokens: 11,
    firstTokenMs: 100,
    totalMs: 200,
  };
  metrics.finished(record, 200);
  const { body } = await app.inject({ url: "/metrics" });
  assert.match(body, /gpt2_token_seconds_sum\{endpoint="gpt-2"\} 0\.01\n/);
});

test("/openapi.json describes the parameters with the limits of the loaded model", async () => {
  const { app } = anAdmin();
  const { openapi, components, paths } = (await app.inject({ url: "/openapi.json" })).json();
  assert.equal(openapi, "3.1.0");
  assert.equal(components.schemas.GenerationRequest.properties.max_length.maximum, 256);
  assert.deepEqual(components.schemas.GenerationRequest.required, ["input"]);
  // Every $ref can be resolved.
  const references = [...JSON.stringify({ paths, components }).matchAll(/#\/components\/(\w+)\/(\w+)/g)];
  assert.ok(references.length > 10);
  for (const [reference, kind = "", name = ""] of references) assert.ok(components[kind]?.[name], reference);
});

test("/openapi.json has the server's address and its kind of authentication", async () => {
  const described = async (...[settings, door]: Parameters<typeof anAdmin>) =>
    (await anAdmin(settings, door).app.inject({ url: "/openapi.json" })).json();
  assert.deepEqual((await described()).servers, [{ url: "http://here:1" }]);
  assert.deepEqual((await described({ auth: "bearer" })).security, [{ bearer: [] }]);
  assert.deepEqual((await described({ auth: "none" })).security, []);
  const container = await described({}, "container");
  assert.deepEqual([container.security, "/invocations" in container.paths], [[], true]);
});

test("the admin port answers other paths with an error in the same form", async () => {
  const { app } = anAdmin();
  const other = await app.inject({ url: "/endpoints/gpt-2/invocations", method: "POST", payload: "{}" });
  assert.deepEqual([other.statusCode, other.headers["x-amzn-errortype"]], [404, "UnknownOperationException"]);
  assert.equal((await app.inject({ url: "/metrics", method: "POST", payload: "" })).statusCode, 405);
});
