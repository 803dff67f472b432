// A seeded simulation of the engine: thousands of requests of all modes, from several clients, half of them streamed, some aborted.
// The fake backend checks what was written where. Every answer must be the one that the request gets alone, streamed tokens must be
// a part of it, and at the end every page must be free or cached.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Hypothesis } from "../../src/decoding/strategy.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { Progress } from "../../src/engine/pass-result.ts";
import type { EngineOptions } from "../../src/engine/scheduler.ts";
import { Dice, randomRequest, runCrowd } from "../support/crowd.ts";
import { FakeBackend } from "../support/fake-backend.ts";
import { generateAll } from "../support/inline-engine.ts";

const EOS = [16];

/** The tokens that were streamed so far, by sequence. */
class Told {
  readonly #lines = new Map<number, number[][]>();

  add({ id, sequences }: Progress): void {
    const lines = this.#lines.get(id) ?? [];
    for (const [index, { tokenIds }] of sequences.entries())
      lines[index] = [...(lines[index] ?? []), ...tokenIds];
    this.#lines.set(id, lines);
  }

  get count(): number {
    return this.#lines.size;
  }

  /** Asserts that the streamed tokens of each sequence are the beginning of its new tokens. */
  check(id: number, promptLength: number, hypotheses: readonly Hypothesis[]): void {
    for (const [index, ids] of (this.#lines.get(id) ?? []).entries()) {
      const answer = hypotheses[index]?.tokenIds.slice(promptLength, promptLength + ids.length);
      assert.deepEqual(answer, ids, `request ${id} was told other tokens of sequence ${index} than it got`);
    }
  }
}

/** Texts that prompts may begin with: a few fixed ones, and recent answers. */
function someTexts(dice: Dice) {
  const documents = [30, 29, 17].map((length) => Array.from({ length }, () => dice.below(17)));
  return (answers: readonly (readonly Hypothesis[])[]) => {
    const recent = answers.slice(-4).flatMap((hypotheses) => hypotheses.map(({ tokenIds }) => tokenIds));
    return [...documents, ...recent];
  };
}

/** With guesses the logits depend on this many tokens only, so that texts begin to repeat themselves and stop again. */
const SPAN = 1;
/** A pass with room for guesses beside the crowd. */
const ROOMY = { maxBatchTokens: 60, maxLogitRows: 40 };

function simulate(seed: number, numRequests: number, options: EngineOptions) {
  const dice = new Dice(seed);
  const aBackend = () => (options.speculation ? new FakeBackend(ROOMY, SPAN) : new FakeBackend());
  const core = new EngineCore(aBackend(), EOS, options);
  const told = new Told();
  const texts = someTexts(dice);
  let passesWithoutFreePage = 0;
  const { requests, answers, aborted } = runCrowd(core, dice, {
    numRequests,
    aborts: 0.02,
    draw: (_id, sofar) => randomRequest(dice, 17, 30, 44, texts(sofar)),
    onPass: ({ progress, finished }) => {
      for (const one of progress) told.add(one);
      for (const { request, hypotheses } of finished) {
        told.check(request.id, request.promptTokenIds.length, hypotheses);
      }
      const { pagesTotal, pagesInUse, pagesCached } = core.stats();
      if (pagesInUse + pagesCached === pagesTotal) passesWithoutFreePage += 1;
    },
  });
  for (const [id, request] of requests.entries()) {
    if (aborted.has(id)) continue;
    const [alone] = generateAll(aBackend(), EOS, [request]);
    assert.deepEqual(answers.get(id), alone, `request ${id} of crowd ${seed} differs from itself alone`);
  }
  const { prefixTokensHit: found, prefixTokensQueried: queried } = core.stats();
  const { tokensGuessed: guessed, tokensAccepted: accepted } = core.stats();
  const counts = { finished: answers.size, aborted: aborted.size, streamed: told.count };
  return { ...counts, found, queried, guessed, accepted, passesWithoutFreePage };
}

type Counts = ReturnType<typeof simulate>;

function noCounts(): Counts {
  const requests = { finished: 0, aborted: 0, streamed: 0 };
  return { ...requests, found: 0, queried: 0, guessed: 0, accepted: 0, passesWithoutFreePage: 0 };
}

function add(total: Counts, counts: Counts): void {
  for (const name of Object.keys(total) as (keyof Counts)[]) total[name] += counts[name];
}

describe("the scheduler", () => {
  for (const prefixCache of [true, false]) {
    const cached = prefixCache ? "with" : "without";
    it(`answers 5,000 requests in crowds ${cached} a prefix cache like each alone, and loses no page`, () => {
      const total = noCounts();
      for (let seed = 0; seed < 25; seed++) {
        const result = simulate(prefixCache ? seed : 100 + seed, 212, { prefixCache });
        add(total, result);
      }
      assert.equal(total.finished + total.aborted, 5300);
      assert.ok(total.finished >= 5000 && total.aborted > 20, JSON.stringify(total));
      assert.ok(total.streamed > 1500, JSON.stringify(total));
      if (!prefixCache) assert.deepEqual([total.found, total.queried], [0, 0]);
      // Many pages are found, and many are evicted.
      else assert.ok(total.found > 20_000 && total.passesWithoutFreePage > 1000, JSON.stringify(total));
    });
  }

  for (const prefixCache of [true, false]) {
    const cached = prefixCache ? "with" : "without";
    it(`gives the same answers with guesses, right and wrong ones, ${cached} a prefix cache`, () => {
      const total = noCounts();
      for (let seed = 200; seed < 210; seed++) {
        add(total, simulate(prefixCache ? seed : 100 + seed, 212, { prefixCache, speculation: true }));
      }
      assert.equal(total.finished + total.aborted, 2120);
      const wrong = total.guessed - total.accepted;
      assert.ok(total.accepted > 1000 && wrong > 500 && total.aborted > 8, JSON.stringify(total));
      if (prefixCache) assert.ok(total.found > 8000, JSON.stringify(total));
    });
  }

  it("starts a client's only request next, however many requests of another client wait", () => {
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

  it("refuses a request that could never be admitted, and says why", () => {
    const core = new EngineCore(new FakeBackend({ pages: 10 }), EOS);
    const search = { kind: "beam", numBeams: 4, lengthPenalty: 1, earlyStopping: false } as const;
    const decoding = { maxLength: 40, numReturnSequences: 1, seed: 3, noRepeatNgramSize: 0, search };
    assert.throws(() => core.add({ id: 1, promptTokenIds: [1], decoding, client: 0, streams: false }), {
      code: "request_too_large",
      message: /needs 40 pages of KV cache for 4 sequences of up to 40 tokens, and there are 10/,
    });
  });
});
