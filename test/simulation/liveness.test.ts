// Liveness, tested with random crowds of wide requests, long prompts and beam searches of all widths, with aborts. An admitted
// request makes progress after at most as many passes as other requests run (plus the passes that its own beams need, if they are
// many). A waiting request is admitted after a bounded number of others. Progress means that a token of the prompt is computed or
// found, or a new token is chosen.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DecodingParams } from "../../src/decoding/decoding-params.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { BackendLimits, ForwardBatch } from "../../src/model/backend.ts";
import { Dice } from "../support/crowd.ts";
import { FakeBackend } from "../support/fake-backend.ts";
import { beams, someDecoding } from "../support/inline-engine.ts";

/** A backend that records which requests a pass served. The tokens of a request are all its own number. */
class ServiceLog extends FakeBackend {
  served = new Set<number>();

  override forward(batch: ForwardBatch) {
    this.served = new Set(batch.chunks.map(({ tokenIds }) => tokenIds[0] as number));
    return super.forward(batch);
  }
}

const SAMPLE = { kind: "sample", temperature: 1, topK: 0, topP: 1 } as const;

/** Logits that allow only the token `own`, so that the tokens of a pass show the requests they belong to. */
function only(own: number): Pick<DecodingParams, "penalties"> {
  return { penalties: { logitBias: new Map([[own, 1e6]]) } };
}

interface Kind {
  readonly promptLength: number;
  readonly decoding: Partial<DecodingParams> & { maxLength: number };
}

function someKind(dice: Dice, { maxLogitRows, contextLength }: BackendLimits): Kind {
  const promptLength = 1 + dice.below(8);
  const newTokens = 1 + dice.below(12);
  const long = Math.floor(contextLength * 0.8);
  return dice.oneOf<() => Kind>([
    () => ({ promptLength: long, decoding: { maxLength: long + newTokens } }),
    () => ({ promptLength, decoding: { maxLength: promptLength + newTokens } }),
    () => ({
      promptLength,
      decoding: { maxLength: promptLength + newTokens, search: SAMPLE, numReturnSequences: 2 * maxLogitRows },
    }),
    () => ({
      promptLength,
      decoding: { maxLength: promptLength + newTokens, search: beams(2 + dice.below(maxLogitRows - 1)) },
    }),
  ])();
}

interface Wait {
  /** Number of other requests that ran when this one was last served: the most passes that it may wait. */
  bound: number;
  passes: number;
}

/** Runs a crowd, and checks the bound after every pass. Returns the longest wait in passes. */
function run(seed: number, limits: Partial<BackendLimits>, speculation: boolean) {
  const dice = new Dice(seed);
  const backend = new ServiceLog({ vocabSize: 110, contextLength: 80, pages: 900, ...limits });
  const core = new EngineCore(backend, [], { prefixCache: true, speculation });
  const waits = new Map<number, Wait>();
  const numBeams = new Map<number, number>();
  const numRequests = 100;
  let [next, longest, numRunningMax] = [0, 0, 0];
  while (next < numRequests || !core.isIdle) {
    for (let n = dice.below(4); n > 0 && next < numRequests; n--) {
      const id = next++;
      const { promptLength, decoding } = someKind(dice, backend.limits);
      const promptTokenIds = new Array<number>(promptLength).fill(id);
      const asked = someDecoding({ ...decoding, ...only(id) });
      if (asked.search.kind === "beam") numBeams.set(id, asked.search.numBeams);
      core.add({ id, promptTokenIds, decoding: asked, client: dice.below(5), streams: false });
    }
    if (next > 0 && dice.chance(0.05)) {
      const id = dice.below(next);
      core.abort(id);
      waits.delete(id);
    }
    if (core.isIdle) continue;
    const before = new Set(core.scheduler.runningIds);
    const result = core.step();
    core.stepTook(1, result); // Every pass takes equally long, so guessing always seems worth it.
    const { finished } = result;
    const running = [...before, ...core.scheduler.runningIds.filter((id) => !before.has(id))];
    numRunningMax = Math.max(numRunningMax, running.length);
    for (const id of running) {
      const wait = waits.get(id) ?? { bound: running.length, passes: 0 };
      if (backend.served.has(id)) waits.set(id, { bound: running.length, passes: 0 });
      else waits.set(id, { ...wait, passes: wait.passes + 1 });
      const { passes, bound } = waits.get(id) as Wait;
      longest = Math.max(longest, passes);
      assert.ok(
        passes < bound + (numBeams.get(id) ?? 0),
        `request ${id} of crowd ${seed} was not served for ${passes} passes beside ${bound - 1} others`,
      );
    }
    for (const { request } of finished) waits.delete(request.id);
  }
  return { longest, numRunningMax, accepted: core.stats().tokensAccepted };
}

describe("liveness", () => {
  it("an admitted request waits for at most as many passes as other requests run", () => {
    const found = [];
    for (let seed = 0; seed < 4; seed++) {
      found.push(run(seed, { maxBatchTokens: 24, maxLogitRows: 12 }, seed % 2 === 1));
      found.push(run(100 + seed, { maxBatchTokens: 9, maxLogitRows: 9 }, seed % 2 === 1));
    }
    found.push(run(200, { maxBatchTokens: 120, maxLogitRows: 40 }, true));
    // The crowds are large enough for requests to wait.
    assert.ok(
      found.some(({ longest }) => longest > 1) && found.some(({ numRunningMax }) => numRunningMax > 20),
    );
    // A request whose tokens are all the same is guessed right, in the few passes in which others leave rows.
    assert.ok(
      found.some(({ accepted }) => accepted > 0),
      JSON.stringify(found),
    );
  });

  it("a short prompt beside the widest request is computed in the next pass", () => {
    const backend = new ServiceLog({ vocabSize: 400, pages: 900 });
    const core = new EngineCore(backend, []);
    const wide = { maxLength: 60, search: SAMPLE, numReturnSequences: 2 * backend.limits.maxLogitRows };
    const add = (id: number, promptLength: number, decoding: Kind["decoding"]): void =>
      core.add({
        id,
        promptTokenIds: new Array<number>(promptLength).fill(id),
        decoding: someDecoding({ ...decoding, ...only(id) }),
        client: id,
        streams: false,
      });
    add(1, 4, wide);
    for (let i = 0; i < 5; i++) core.step();
    add(2, 6, { maxLength: 8 });
    assert.deepEqual(core.step().prefilled, [2]);
    assert.deepEqual(
      core.step().finished.map(({ request }) => request.id),
      [2],
    );
  });

  it("the sequences of a request that is wider than a pass advance evenly", () => {
    const backend = new FakeBackend({ pages: 900 });
    const core = new EngineCore(backend, []);
    const wide = someDecoding({
      maxLength: 30,
      search: SAMPLE,
      numReturnSequences: Math.floor(2.5 * backend.limits.maxLogitRows),
    });
    core.add({ id: 1, promptTokenIds: [1], decoding: wide, client: 1, streams: true });
    const lengths = new Array<number>(wide.numReturnSequences).fill(0);
    while (!core.isIdle) {
      const { progress, finished } = core.step();
      for (const [i, { tokenIds }] of (progress[0]?.sequences ?? []).entries())
        lengths[i] = (lengths[i] as number) + tokenIds.length;
      if (finished.length > 0) break;
      assert.ok(Math.max(...lengths) - Math.min(...lengths) <= 1, `${lengths}`);
    }
  });

  it("a long prompt advances in every pass, beside requests that fill all rows", () => {
    const backend = new ServiceLog({ vocabSize: 400, contextLength: 400, pages: 2000 });
    const core = new EngineCore(backend, []);
    for (let id = 1; id <= 20; id++) {
      const promptTokenIds = [id];
      const decoding = someDecoding({ maxLength: 300, ...only(id) });
      core.add({ id, promptTokenIds, decoding, client: id, streams: false });
    }
    for (let i = 0; i < 5; i++) core.step();
    const promptTokenIds = new Array<number>(300).fill(30);
    const decoding = someDecoding({ maxLength: 301, ...only(30) });
    core.add({ id: 30, promptTokenIds, decoding, client: 30, streams: false });
    for (let done = false, passes = 0; !done; passes++) {
      const { prefilled } = core.step();
      assert.ok(backend.served.has(30), `pass ${passes} had no room for the prompt`);
      done = prefilled.includes(30);
    }
  });
});

describe("admission", () => {
  const decoding = (maxLength: number, numReturnSequences = 1): DecodingParams =>
    someDecoding({ maxLength, numReturnSequences, search: SAMPLE });

  /** A pool of 20 pages of 4 positions. One request holds 10 pages for a long time, and one that needs 16 waits. */
  function blocked() {
    const core = new EngineCore(new FakeBackend({ pages: 20, contextLength: 64 }), [], {
      prefixCache: false,
    });
    const started: number[] = [];
    const step = (): void => void started.push(...core.step().started);
    const add = (id: number, asked: DecodingParams): void =>
      core.add({ id, promptTokenIds: [1], decoding: asked, client: id % 3, streams: false });
    add(1, decoding(41)); // 10 pages for 40 passes
    step();
    add(2, decoding(17, 4)); // 16 pages
    return { core, add, step, started };
  }

  it("lets a small request overtake one that waits for pages", () => {
    const { add, step, started } = blocked();
    add(3, decoding(3));
    step();
    assert.deepEqual(started, [1, 3]);
  });

  it("forgets a request that waits for pages when it is aborted", () => {
    const { core, add, step, started } = blocked();
    step(); // Now it is off the queue, as the next request to be admitted.
    core.abort(2);
    add(3, decoding(3));
    while (!core.isIdle) step();
    assert.deepEqual(started, [1, 3]);
  });

  it("never starves a request that waits for pages", () => {
    const { add, step, started } = blocked();
    // An endless stream of small requests: without the bound there would never be 16 free pages.
    for (let id = 3; !started.includes(2) && id < 1000; id += 4) {
      for (let n = 0; n < 4; n++) add(id + n, decoding(9));
      step();
    }
    assert.ok(started.includes(2), "the request was overtaken for ever");
    assert.ok(started.indexOf(2) <= 1 + 16, `it was overtaken ${started.indexOf(2) - 1} times`);
  });

  it("lets others pass a request whose client holds more than its share of the pages, and then starts it", () => {
    const core = new EngineCore(new FakeBackend({ pages: 20, contextLength: 64 }), [], {
      prefixCache: false,
    });
    const started: number[] = [];
    const add = (id: number, client: number, asked: DecodingParams): void =>
      core.add({ id, promptTokenIds: [1], decoding: asked, client, streams: false });
    add(1, 1, decoding(61)); // 15 pages for 60 passes
    started.push(...core.step().started);
    add(2, 1, decoding(61));
    add(3, 1, decoding(3)); // A later request of the same client may overtake it too, within the usual bound.
    for (let id = 10; !started.includes(2) && id < 1000; id++) {
      add(id, 2, decoding(3));
      const before = started.length;
      started.push(...core.step().started);
      // The small request never waits while the first large one runs.
      if (id < 60) assert.ok(started.slice(before).includes(id), `request ${id} had to wait: ${started}`);
      if (id === 40) add(4, 1, decoding(3));
    }
    assert.ok(started.includes(2), "the request was overtaken for ever");
    assert.ok(!started.includes(4) || started.indexOf(4) > started.indexOf(2), `${started}`);
  });

  it("takes clients in turn by tokens, not by requests", () => {
    const core = new EngineCore(new FakeBackend({ pages: 15, contextLength: 64 }), [], {
      prefixCache: false,
    });
    const order: number[] = [];
    const add = (id: number, client: number, maxLength: number): void =>
      core.add({ id, promptTokenIds: [1], decoding: decoding(maxLength), client, streams: false });
    // No two of them fit at the same time, so none overtakes another.
    for (let i = 0; i < 8; i++) add(i, 1, 61); // 15 pages, 61 tokens
    for (let i = 10; i < 26; i++) add(i, 2, 33); // 8 pages, 33 tokens
    while (!core.isIdle) order.push(...core.step().started);
    const numBefore = (id: number): number =>
      order.slice(0, order.indexOf(id)).filter((one) => one >= 10).length;
    // In the time of four requests of 61 tokens, the second client gets seven of 33 tokens.
    assert.ok(numBefore(4) >= 6 && numBefore(4) <= 8, `${order}`);
  });
});
