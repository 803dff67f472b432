// Models on disk, loaded as a server loads them: with the settings that apply to them, and when their files
// change while they serve.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../test/support/checkpoints.ts";
import { someDecoding } from "../../test/support/inline-engine.ts";
import { findModel } from "../generator/find-model.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { Models, type ModelsOptions } from "./models.ts";

/** Finds models that are on this machine. */
const HERE: ModelsOptions = {
  env: {},
  findModel: (model) => findModel(model, () => assert.fail("no hub is asked")),
  onProblem: assert.fail,
};

test("--prefix-cache decides whether an earlier prompt is found", async (context) => {
  const directory = temporaryDirectory();
  context.after(() => directory.remove());
  const model = writeCheckpoint(join(directory.path, "model"), { seed: 3, V: 61, P: 64 });
  const promptTokenIds = Array.from({ length: 40 }, (_, i) => i);
  for (const [prefixCache, found] of [
    ["on", 32],
    ["off", 0],
  ] as const) {
    const settings = { ...DEFAULT_SETTINGS, prefixCache, threads: 1, kvCacheMb: 1 };
    const models = new Models(settings, [{ name: "a", model }], HERE);
    await models.ready();
    const generator = models.byEndpoint().get("a");
    const decoding = someDecoding({ maxLength: 41 });
    const first = await generator?.generate({ promptTokenIds, decoding });
    const again = await generator?.generate({ promptTokenIds, decoding });
    assert.deepEqual([first?.cachedTokens, again?.cachedTokens], [0, found]);
    assert.deepEqual(again?.sequences, first?.sequences);
    await models.close();
  }
});

test("--speculation decides whether tokens are guessed", async (context) => {
  const directory = temporaryDirectory();
  context.after(() => directory.remove());
  const model = writeCheckpoint(join(directory.path, "model"), { seed: 3, V: 61, P: 64 });
  const answers = [];
  for (const speculation of ["on", "off"] as const) {
    const settings = { ...DEFAULT_SETTINGS, speculation, threads: 1, kvCacheMb: 1 };
    const models = new Models(settings, [{ name: "a", model }], HERE);
    await models.ready();
    const generator = models.byEndpoint().get("a");
    // One token is forced, so that the text repeats itself and the guesses are right.
    const penalties = { logitBias: new Map([[7, 1e6]]) };
    const decoding = someDecoding({ maxLength: 60, penalties });
    answers.push((await generator?.generate({ promptTokenIds: [1], decoding }))?.sequences);
    const { tokensGuessed = 0, tokensAccepted = 0, steps = 0 } = generator?.stats() ?? {};
    assert.equal(tokensAccepted > 20 && tokensAccepted <= tokensGuessed, speculation === "on");
    assert.equal(steps, 59 - tokensAccepted);
    await models.close();
  }
  assert.deepEqual(answers[0], answers[1]);
});

test("--request-deadline-ms limits the time of an answer", async (context) => {
  const directory = temporaryDirectory();
  context.after(() => directory.remove());
  const model = writeCheckpoint(join(directory.path, "model"), { seed: 3, V: 61, P: 64 });
  const settings = { ...DEFAULT_SETTINGS, requestDeadlineMs: 1234, threads: 1, kvCacheMb: 1 };
  const models = new Models(settings, [{ name: "a", model }], HERE);
  context.after(() => models.close());
  await models.ready();
  const generator = models.byEndpoint().get("a");
  assert.ok(generator);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const late = generator.generate({ promptTokenIds: [1], decoding: someDecoding({ maxLength: 64 }) });
  while (generator.stats().requestsWaiting + generator.stats().requestsRunning === 0) await null;
  context.mock.timers.tick(1234);
  context.mock.timers.reset();
  await assert.rejects(late, { code: "timed_out", message: /within 1234 milliseconds/ });
});

test("--pass-tokens-max and --pass-rows-max limit the size of a pass", async (context) => {
  const directory = temporaryDirectory();
  context.after(() => directory.remove());
  const model = writeCheckpoint(join(directory.path, "model"), { seed: 3, V: 61, P: 256 });
  const promptTokenIds = Array.from({ length: 200 }, (_, i) => i % 61);
  for (const [passTokensMax, passes] of [
    [128, 2],
    [256, 1],
  ] as const) {
    const settings = { ...DEFAULT_SETTINGS, passTokensMax, passRowsMax: 2, threads: 1, kvCacheMb: 4 };
    const models = new Models(settings, [{ name: "a", model }], HERE);
    context.after(() => models.close());
    await models.ready();
    const generator = models.byEndpoint().get("a");
    assert.ok(generator);
    await generator.generate({ promptTokenIds, decoding: someDecoding({ maxLength: 201 }) });
    assert.equal(generator.stats().steps, passes);
    const search = { kind: "beam", numBeams: 3, lengthPenalty: 1, earlyStopping: false } as const;
    const wide = { promptTokenIds: [1], decoding: someDecoding({ maxLength: 3, search }) };
    await assert.rejects(generator.generate(wide), { code: "request_too_large", message: /at most 2 fit/ });
  }
});
