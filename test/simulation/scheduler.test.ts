// A seeded simulation of the engine: thousands of requests of all modes through a backend that remembers what was
// written where, from several clients, half of them streaming, with aborts in the middle. Every answer must be the one
// that the request gets alone, what was streamed must be a part of it, and every page must come home.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Hypothesis } from "../../src/decoding/strategy.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { Progress } from "../../src/engine/scheduler.ts";
import { Dice, randomRequest } from "../support/crowd.ts";
import { FakeBackend } from "../support/fake-backend.ts";
import { generateAll } from "../support/inline-engine.ts";

const EOS = [16];

/** What a streaming request was told so far, by sequence of its answer. */
class Told {
  readonly #lines = new Map<number, number[][]>();

  add({ id, tokenIds }: Progress): void {
    const lines = this.#lines.get(id) ?? [];
    for (const [index, ids] of tokenIds.entries()) lines[index] = [...(lines[index] ?? []), ...ids];
    this.#lines.set(id, lines);
  }

  get count(): number {
    return this.#lines.size;
  }

  /** Every line must be the beginning of the new tokens of its sequence. */
  check(id: number, promptLength: number, hypotheses: readonly Hypothesis[]): void {
    for (const [index, ids] of (this.#lines.get(id) ?? []).entries()) {
      const answer = hypotheses[index]?.tokenIds.slice(promptLength, promptLength + ids.length);
      assert.deepEqual(answer, ids, `request ${id} was told other tokens of sequence ${index} than it got`);
    }
  }
}

function simulate(
  seed: number,
  numRequests: number,
): { finished: number; aborted: number; streamed: number } {
  const dice = new Dice(seed);
  const core = new EngineCore(new FakeBackend(), EOS);
  const requests = Array.from({ length: numRequests }, () => randomRequest(dice, 17, 30, 44));
  const answers = new Map<number, readonly Hypothesis[]>();
  const aborted = new Set<number>();
  const told = new Told();
  const clientOf = requests.map(() => dice.oneOf([1, 1, 1, 2, 3]));
  let next = 0;
  while (next < numRequests || !core.isIdle) {
    for (let arrivals = dice.below(4); arrivals > 0 && next < numRequests; arrivals--) {
      const { prompt, decoding } = requests[next] as (typeof requests)[number];
      const client = clientOf[next] as number;
      core.add({ id: next++, promptTokenIds: prompt, decoding, client, streams: dice.chance(0.5) });
    }
    if (dice.chance(0.02) && next > 0) {
      const id = Math.max(0, next - 1 - dice.below(8));
      if (!answers.has(id)) aborted.add(id);
      core.abort(id);
    }
    if (core.isIdle) continue;
    const { progress, finished } = core.step();
    for (const one of progress) told.add(one);
    for (const { request, hypotheses } of finished) {
      assert.ok(
        !answers.has(request.id) && !aborted.has(request.id),
        `request ${request.id} was answered twice`,
      );
      answers.set(request.id, hypotheses);
      told.check(request.id, request.promptTokenIds.length, hypotheses);
    }
  }
  core.scheduler.pool.assertAllHome();
  for (const [id, request] of requests.entries()) {
    if (aborted.has(id)) continue;
    const [alone] = generateAll(new FakeBackend(), EOS, [request]);
    assert.deepEqual(answers.get(id), alone, `request ${id} of crowd ${seed} differs from itself alone`);
  }
  return { finished: answers.size, aborted: aborted.size, streamed: told.count };
}

describe("the scheduler", () => {
  it("answers 10,000 requests in crowds as it answers each alone, and every page comes home", () => {
    let [finished, aborted, streamed] = [0, 0, 0];
    for (let seed = 0; seed < 50; seed++) {
      const result = simulate(seed, 212);
      finished += result.finished;
      aborted += result.aborted;
      streamed += result.streamed;
    }
    assert.equal(finished + aborted, 10_600);
    assert.ok(finished >= 10_000 && aborted > 20, `${finished} finished, ${aborted} aborted`);
    assert.ok(streamed > 3000, `${streamed} streamed`);
  });

  it("starts the one request of a client next, however many another has waiting", () => {
    const core = new EngineCore(new FakeBackend({ pages: 10 }), []);
    const search = { kind: "greedy" } as const;
    const decoding = { maxLength: 40, numReturnSequences: 1, seed: 3, noRepeatNgramSize: 0, search };
    const add = (id: number, client: number) =>
      core.add({ id, promptTokenIds: [1], decoding, client, streams: false });
    const order: number[] = [];
    for (let id = 0; id < 20; id++) add(id, 1);
    order.push(...core.step().started);
    add(20, 2);
    while (!core.isIdle) order.push(...core.step().started);
    assert.deepEqual(order.slice(0, 4), [0, 1, 20, 2]);
    assert.equal(order.length, 21);
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
    assert.throws(() => core.add({ id: 1, promptTokenIds: [1], decoding, client: 0, streams: false }), {
      code: "request_too_large",
      message: /needs 40 pages of KV cache for 4 sequences of up to 40 tokens, and there are 10/,
    });
  });
});
