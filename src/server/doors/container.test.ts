import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { FakeGenerator } from "../../../test/support/fake-generator.ts";
import { GptError } from "../../errors.ts";
import type { Generator } from "../../request/generation.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../settings.ts";
import { type ContainerOptions, createContainerApp } from "./container.ts";

function aContainer(settings: Partial<Settings> = {}, options: Partial<ContainerOptions> = {}) {
  const generator = new FakeGenerator();
  const app = createContainerApp({ generator, settings: { ...DEFAULT_SETTINGS, ...settings }, ...options });
  const invoke = (body: unknown, headers: Record<string, string> = {}) =>
    app.inject({ method: "POST", url: "/invocations", headers, payload: JSON.stringify(body) });
  return { app, generator, invoke };
}

test("/invocations needs no signature and answers with the list of texts", async () => {
  const { invoke } = aContainer();
  for (const accept of ["*/*", "application/json", ""]) {
    const response = await invoke({ input: "Hello", num_return_sequences: 1, seed: 3 }, { accept });
    assert.equal(response.statusCode, 200, response.body);
    assert.deepEqual(response.json(), ["Hello and more é"]);
    assert.equal(response.headers["x-gpt2-seed"], "3");
  }
});

test("Accept: application/jsonlines, or that default, is answered with JSON lines", async () => {
  const { invoke, generator } = aContainer();
  generator.pieces = [
    { index: 0, text: "a" },
    { index: 1, text: "b" },
  ];
  const expected = '{"index":0,"text":"a"}\n{"index":1,"text":"b"}\n';
  const response = await invoke({ input: "" }, { accept: "application/jsonlines" });
  assert.equal(response.headers["content-type"], "application/jsonlines");
  assert.equal(response.body, expected);
  const other = aContainer({}, { defaultAccept: "application/jsonlines" });
  other.generator.pieces = generator.pieces;
  assert.equal((await other.invoke({ input: "" }, { accept: "*/*" })).body, expected);
  assert.ok(Array.isArray((await other.invoke({ input: "" }, { accept: "application/json" })).json()));
  assert.equal((await other.invoke({ input: "" }, { accept: "text/csv" })).body, expected);
});

test("errors are plain, with the sentence that SageMaker's front wraps", async () => {
  const { invoke, generator } = aContainer();
  const cases: [failure: Error | undefined, status: number, type: string][] = [
    [undefined, 400, "ValidationError"],
    [new GptError("prompt_too_long", "too long"), 400, "ValidationError"],
    [new GptError("queue_full", "no room"), 503, "ServiceUnavailable"],
    [new GptError("timed_out", "too late"), 504, "ModelInvocationTimeExceeded"],
    [new GptError("engine_failed", "secret"), 500, "InternalFailure"],
  ];
  for (const [failure, status, type] of cases) {
    generator.failure = failure;
    const response = await invoke(failure === undefined ? { input: 5 } : { input: "" });
    assert.deepEqual([response.statusCode, response.headers["x-amzn-errortype"]], [status, type]);
    const { Message, message = Message } = response.json();
    if (failure === undefined) assert.equal(message, "input must be a string, got 5");
    else assert.equal(message.includes(failure.message), status !== 500);
  }
});

test("JSON lines that cannot be finished are cut off", async (context) => {
  const { app, generator } = aContainer();
  generator.pieces = [{ index: 0, text: "a" }];
  generator.failure = new GptError("engine_failed", "dead");
  await app.listen({ host: "127.0.0.1", port: 0 });
  context.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const request = { method: "POST", body: '{"input":""}', headers: { accept: "application/jsonlines" } };
  await assert.rejects(async () => (await fetch(`http://127.0.0.1:${port}/invocations`, request)).text());
});

test("/ping is 503 while loading and when the engine is not well, else 200", async () => {
  let ready: (generator: Generator) => void = () => {};
  const loading = new Promise<Generator>((resolve) => {
    ready = resolve;
  });
  const { app, invoke } = aContainer({}, { generator: loading });
  const ping = async () => {
    const { statusCode, body } = await app.inject({ url: "/ping" });
    assert.doesNotMatch(body, /fake/);
    return statusCode;
  };
  assert.equal(await ping(), 503);
  assert.equal((await invoke({ input: "" })).statusCode, 503);
  const generator = new FakeGenerator();
  ready(generator);
  await loading;
  assert.equal(await ping(), 200);
  for (const health of ["restarting", "failed"] as const) {
    generator.health = health;
    assert.equal(await ping(), 503);
  }
});

test("/execution-parameters stays within SageMaker's limits for transforms", async () => {
  const parameters = async (settings: Partial<Settings>) =>
    (await aContainer(settings).app.inject({ url: "/execution-parameters" })).json();
  assert.deepEqual(await parameters({}), {
    MaxConcurrentTransforms: 16,
    BatchStrategy: "SINGLE_RECORD",
    MaxPayloadInMB: 6,
  });
  const { MaxConcurrentTransforms } = await parameters({ queueRequestsMax: 4, bodyBytesMax: 2 ** 20 });
  assert.equal(MaxConcurrentTransforms, 4);
});

test("the routes of the runtime door do not exist here", async () => {
  const { app } = aContainer();
  const response = await app.inject({ method: "POST", url: "/endpoints/gpt-2/invocations", payload: "{}" });
  assert.deepEqual(
    [response.statusCode, response.headers["x-amzn-errortype"]],
    [404, "UnknownOperationException"],
  );
  const get = await app.inject({ url: "/invocations" });
  assert.deepEqual([get.statusCode, get.headers.allow], [405, "POST"]);
});
