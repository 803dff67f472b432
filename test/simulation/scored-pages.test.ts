// Scored prompts share pages and their scores. Cached scores have the bits of computed ones, and save rows.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { DecodingParams } from "../../src/decoding/decoding-params.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { FinishedRequest } from "../../src/engine/pass-result.ts";
import { loadModel } from "../../src/model/loading/load-model.ts";
import { temporaryDirectory, writeCheckpoint } from "../support/checkpoints.ts";
import { Dice } from "../support/crowd.ts";
import { FakeBackend } from "../support/fake-backend.ts";
import { someDecoding } from "../support/inline-engine.ts";

const numbers = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, i) => (first + i * 5) % 16);
const scored = (length: number, changes: Partial<DecodingParams> = {}): DecodingParams =>
  someDecoding({ maxLength: length, logprobs: 2, promptLogprobs: true, ...changes });

/** A page has 4 positions, and all prompts fit into one pass. */
function anEngine(pages = 200) {
  const backend = new FakeBackend({ pages, contextLength: 120, maxBatchTokens: 400, maxLogitRows: 400 });
  const core = new EngineCore(backend, [], { prefixCache: true });
  let nextId = 0;
  /** Runs prompts together. Returns the number of rows, and the answers in the order of the prompts. */
  const run = (prompts: readonly (readonly number[])[], changes: Partial<DecodingParams> = {}) => {
    const before = backend.numTokens;
    const firstId = nextId;
    for (const promptTokenIds of prompts) {
      const decoding = scored(promptTokenIds.length, changes);
      core.add({ id: nextId++, promptTokenIds, decoding, client: 0, streams: false });
    }
    const answers: FinishedRequest[] = [];
    while (!core.isIdle) for (const one of core.step().finished) answers[one.request.id - firstId] = one;
    core.scheduler.pool.assertIdle();
    return { rows: backend.numTokens - before, scores: answers.map((each) => each.promptLogprobs), answers };
  };
  return { run };
}

describe("prompts that are scored", () => {
  it("find all pages of an earlier prompt but the last, which predicts the next token", () => {
    const prompt = numbers(41);
    const { run } = anEngine();
    const first = run([prompt]);
    assert.equal(first.rows, 41);
    const again = run([prompt]);
    // Ten pages are cached. The tenth is computed again, because the row of its last position is needed.
    assert.equal(again.rows, 5);
    assert.equal(again.answers[0]?.cachedTokens, 36);
    assert.deepEqual(again.scores, first.scores);
  });

  it("share their beginning when they come together, like the choices of a question", () => {
    const context = numbers(32);
    const choices = [3, 9, 11, 14].map((token) => [...context, token, token, 1, 2, 3]);
    const alone = choices.map((choice) => anEngine().run([choice]).scores[0]);
    const together = anEngine().run(choices);
    assert.deepEqual(together.scores, alone);
    // The first prompt is computed whole, the others from the last page of the common context on.
    assert.equal(together.rows, 37 + 3 * (4 + 5));
  });

  it("use the scores of a page only if they have enough detail", () => {
    const prompt = numbers(41);
    const { run } = anEngine();
    run([prompt], { logprobs: 1 });
    assert.equal(run([prompt], { logprobs: 3 }).rows, 41);
    assert.equal(run([prompt], { logprobs: 3 }).rows, 5, "now there are enough");
    const fewer = run([prompt], { logprobs: 0 });
    assert.equal(fewer.rows, 5);
    assert.deepEqual(fewer.scores, anEngine().run([prompt], { logprobs: 0 }).scores);
    assert.equal(run([prompt], { logprobs: 3, trace: true }).rows, 41);
    assert.deepEqual(run([prompt], { logprobs: 2 }).scores, anEngine().run([prompt], { logprobs: 2 }).scores);
  });

  it("leave a page the scores with the most detail, though its last visitor wanted less", () => {
    const prompt = numbers(41);
    const { run } = anEngine();
    const first = run([prompt], { logprobs: 3 });
    // The last page is computed again, with scores of less detail.
    for (let visit = 0; visit < 2; visit++) assert.equal(run([prompt], { logprobs: 0 }).rows, 5);
    const again = run([prompt], { logprobs: 3 });
    assert.deepEqual([again.rows, again.scores], [5, first.scores]);
  });

  it("compute a page again that was filled without scores, and then it has scores", () => {
    const prompt = numbers(41);
    const { run } = anEngine();
    run([prompt], { promptLogprobs: false });
    assert.equal(run([prompt]).rows, 41);
    assert.equal(run([prompt]).rows, 5);
    assert.equal(run([prompt], { promptLogprobs: false }).rows, 1);
  });

  it("lose the scores of a page when it is evicted", () => {
    const prompt = numbers(41);
    const { run } = anEngine(12);
    const first = run([prompt]);
    for (let other = 1; other < 4; other++) run([numbers(41, other)]);
    const again = run([prompt]);
    assert.deepEqual([again.rows, again.scores], [41, first.scores]);
  });
});

describe("cached scores", () => {
  const directory = temporaryDirectory();
  after(() => directory.remove());
  const path = writeCheckpoint(join(directory.path, "model"), { seed: 7, V: 61, P: 128, C: 30, L: 2, H: 3 });

  for (const precision of ["f32", "int8"] as const) {
    it(`equal computed ones, in crowds of prompts with common beginnings, in ${precision}`, async () => {
      const { backend } = loadModel(path, { precision, kvCacheMb: 1, threads: 2 });
      const texts = [0, 1, 2].map((seed) => {
        const dice = new Dice(seed);
        return Array.from({ length: 90 }, () => dice.below(61));
      });
      const dice = new Dice(9);
      const some = Array.from({ length: 60 }, () => {
        const begin = dice.oneOf(texts).slice(0, 1 + dice.below(90));
        const prompt = [...begin, ...Array.from({ length: dice.below(12) }, () => dice.below(61))];
        const length = prompt.length + dice.below(4);
        return {
          prompt,
          decoding: scored(length, { logprobs: dice.below(3), promptLogprobs: dice.chance(0.8) }),
        };
      });
      const answersOf = (prefixCache: boolean, maxBatchTokens: number) => {
        const maxLogitRows = Math.min(maxBatchTokens, backend.limits.maxLogitRows);
        const limits = { ...backend.limits, maxBatchTokens, maxLogitRows };
        const limited = { limits, forward: backend.forward.bind(backend), close: async () => {} };
        const core = new EngineCore(limited, [60], { prefixCache });
        const answers: unknown[] = [];
        for (const [id, { prompt: promptTokenIds, decoding }] of some.entries()) {
          core.add({ id, promptTokenIds, decoding, client: id % 3, streams: id % 2 === 0 });
          if (id % 7 === 6) while (!core.isIdle) take(core, answers);
        }
        while (!core.isIdle) take(core, answers);
        return { answers, found: core.stats().prefixTokensHit };
      };
      const computed = answersOf(false, 128);
      assert.equal(computed.found, 0);
      for (const maxBatchTokens of [9, 40, 128]) {
        const { answers, found } = answersOf(true, maxBatchTokens);
        assert.deepEqual(answers, computed.answers);
        assert.ok(found > 500, `${found}`);
      }
      await backend.close();
    });
  }
});

function take(core: EngineCore, answers: unknown[]): void {
  for (const { request, hypotheses, promptLogprobs } of core.step().finished) {
    answers[request.id] = { hypotheses, promptLogprobs };
  }
}
