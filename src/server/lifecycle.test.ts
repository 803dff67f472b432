import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../test/support/checkpoints.ts";
import { aFront, PATH, signedHeaders } from "../../test/support/front.ts";
import { someDecoding } from "../../test/support/inline-engine.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { drain, Models } from "./lifecycle.ts";

test("a stop waits for open requests, and after its time cancels them and tells their callers", async (context) => {
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
  context.mock.timers.reset(); // The request's deadline began before; only the real `clearTimeout` stops it.
  const { status, headers: told } = await answer;
  assert.deepEqual([status, told.get("x-amzn-errortype")], [503, "ServiceUnavailable"]);
  await drained;
  assert.equal(closings, 2);
});

test("--prefix-cache says whether a prompt is found that was there before", async (context) => {
  const directory = temporaryDirectory();
  context.after(() => directory.remove());
  const model = writeCheckpoint(join(directory.path, "model"), { seed: 3, V: 61, P: 64 });
  const promptTokenIds = Array.from({ length: 40 }, (_, i) => i);
  for (const [prefixCache, found] of [
    ["on", 32],
    ["off", 0],
  ] as const) {
    const settings = { ...DEFAULT_SETTINGS, prefixCache, threads: 1, kvCacheMb: 1 };
    const models = new Models(settings, [{ name: "a", model }], { env: {}, onProblem: assert.fail });
    const generator = await models.loading.get("a");
    const decoding = someDecoding({ maxLength: 41 });
    const first = await generator?.generate({ promptTokenIds, decoding });
    const again = await generator?.generate({ promptTokenIds, decoding });
    assert.deepEqual([first?.cachedTokens, again?.cachedTokens], [0, found]);
    assert.deepEqual(again?.sequences, first?.sequences);
    await models.close();
  }
});

test("--request-deadline-ms is the time in which a model answers", async (context) => {
  const directory = temporaryDirectory();
  context.after(() => directory.remove());
  const model = writeCheckpoint(join(directory.path, "model"), { seed: 3, V: 61, P: 64 });
  const settings = { ...DEFAULT_SETTINGS, requestDeadlineMs: 1234, threads: 1, kvCacheMb: 1 };
  const models = new Models(settings, [{ name: "a", model }], { env: {}, onProblem: assert.fail });
  const generator = await models.loading.get("a");
  assert.ok(generator);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const late = generator.generate({ promptTokenIds: [1], decoding: someDecoding({ maxLength: 64 }) });
  context.mock.timers.tick(1234);
  context.mock.timers.reset();
  await assert.rejects(late, { code: "timed_out", message: /within 1234 milliseconds/ });
  await models.close();
});

test("--pass-tokens-max and --pass-rows-max are the size of a pass", async (context) => {
  const directory = temporaryDirectory();
  context.after(() => directory.remove());
  const model = writeCheckpoint(join(directory.path, "model"), { seed: 3, V: 61, P: 256 });
  const promptTokenIds = Array.from({ length: 200 }, (_, i) => i % 61);
  for (const [passTokensMax, passes] of [
    [128, 2],
    [256, 1],
  ] as const) {
    const settings = { ...DEFAULT_SETTINGS, passTokensMax, passRowsMax: 2, threads: 1, kvCacheMb: 4 };
    const models = new Models(settings, [{ name: "a", model }], { env: {}, onProblem: assert.fail });
    const generator = await models.loading.get("a");
    assert.ok(generator);
    await generator.generate({ promptTokenIds, decoding: someDecoding({ maxLength: 201 }) });
    assert.equal(generator.stats().steps, passes);
    const search = { kind: "beam", numBeams: 3, lengthPenalty: 1, earlyStopping: false } as const;
    const wide = { promptTokenIds: [1], decoding: someDecoding({ maxLength: 3, search }) };
    await assert.rejects(generator.generate(wide), { code: "request_too_large", message: /at most 2 fit/ });
    await models.close();
  }
});
