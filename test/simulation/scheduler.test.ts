// A seeded simulation of the engine: thousands of requests of all modes through a backend that remembers what was
// written where, with aborts in the middle. Every answer must be the one that the request gets alone, and every page
// must come home.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Hypothesis } from "../../src/decoding/strategy.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import { Dice, randomRequest } from "../support/crowd.ts";
import { FakeBackend } from "../support/fake-backend.ts";
import { generateAll } from "../support/inline-engine.ts";

const EOS = [16];

function simulate(seed: number, numRequests: number): { finished: number; aborted: number; tokens: number } {
  const dice = new Dice(seed);
  const backend = new FakeBackend();
  const core = new EngineCore(backend, EOS);
  const requests = Array.from({ length: numRequests }, () => randomRequest(dice, 17, 30, 44));
  const answers = new Map<number, readonly Hypothesis[]>();
  const aborted = new Set<number>();
  let next = 0;
  while (next < numRequests || !core.isIdle) {
    for (let arrivals = dice.below(4); arrivals > 0 && next < numRequests; arrivals--) {
      const { prompt, decoding } = requests[next] as (typeof requests)[number];
      core.add({ id: next++, promptTokenIds: prompt, decoding });
    }
    if (dice.chance(0.02) && next > 0) {
      const id = Math.max(0, next - 1 - dice.below(8));
      if (!answers.has(id)) aborted.add(id);
      core.abort(id);
    }
    if (core.isIdle) continue;
    for (const { request, hypotheses } of core.step()) {
      assert.ok(
        !answers.has(request.id) && !aborted.has(request.id),
        `request ${request.id} was answered twice`,
      );
      answers.set(request.id, hypotheses);
    }
  }
  assert.equal(core.scheduler.pool.inUse, 0, "pages are still in use");
  assert.equal(core.scheduler.pool.available, backend.limits.pages, "pages are still promised");
  for (const [id, request] of requests.entries()) {
    if (aborted.has(id)) continue;
    const [alone] = generateAll(new FakeBackend(), EOS, [request]);
    assert.deepEqual(answers.get(id), alone, `request ${id} of crowd ${seed} differs from itself alone`);
  }
  return { finished: answers.size, aborted: aborted.size, tokens: backend.numTokens };
}

describe("the scheduler", () => {
  it("answers 10,000 requests in crowds as it answers each alone, and every page comes home", () => {
    let [finished, aborted] = [0, 0];
    for (let seed = 0; seed < 50; seed++) {
      const result = simulate(seed, 212);
      finished += result.finished;
      aborted += result.aborted;
    }
    assert.equal(finished + aborted, 10_600);
    assert.ok(finished >= 10_000 && aborted > 20, `${finished} finished, ${aborted} aborted`);
  });

  it("computes a prompt once for all its sequences", () => {
    const backend = new FakeBackend();
    const prompt = Array.from({ length: 20 }, (_, i) => i % 16);
    const search = { kind: "sample", temperature: 1, topK: 0, topP: 1 } as const;
    const decoding = { maxLength: 22, numReturnSequences: 4, seed: 3, noRepeatNgramSize: 0, search };
    generateAll(backend, [], [{ prompt, decoding }]);
    assert.equal(backend.numTokens, 20 + 4);
  });

  it("refuses what could never be admitted, and says why", () => {
    const core = new EngineCore(new FakeBackend({ pages: 10 }), EOS);
    const search = { kind: "beam", numBeams: 4, lengthPenalty: 1, earlyStopping: false } as const;
    const decoding = { maxLength: 40, numReturnSequences: 1, seed: 3, noRepeatNgramSize: 0, search };
    assert.throws(() => core.add({ id: 1, promptTokenIds: [1], decoding }), {
      code: "request_too_large",
      message: /needs 40 pages of KV cache for 4 sequences of up to 40 tokens, and there are 10/,
    });
  });
});
