// What the prefix cache saves: rows of passes, counted with a fake backend. A page has 4 positions.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DecodingParams } from "../../src/decoding/decoding-params.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import { FakeBackend } from "../support/fake-backend.ts";
import { beams, someDecoding } from "../support/inline-engine.ts";

const numbers = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, i) => (first + i) % 16);

function anEngine({ prefixCache = true, pages = 60 } = {}) {
  const backend = new FakeBackend({ pages });
  const core = new EngineCore(backend, [], { prefixCache });
  let nextId = 0;
  const add = (promptTokenIds: readonly number[], decoding: DecodingParams): number => {
    core.add({ id: nextId, promptTokenIds, decoding, client: 0, streams: false });
    return nextId++;
  };
  /** Runs until all is done. Returns the passes, the rows, the tokens found in the cache, and the last answer. */
  const finish = () => {
    const before = { steps: core.stats().steps, rows: backend.numTokens };
    let cachedTokens = 0;
    let tokenIds: readonly number[] = [];
    while (!core.isIdle) {
      for (const { hypotheses, ...finished } of core.step().finished) {
        cachedTokens += finished.cachedTokens;
        tokenIds = hypotheses[0]?.tokenIds ?? [];
      }
    }
    core.scheduler.pool.assertIdle();
    return {
      steps: core.stats().steps - before.steps,
      rows: backend.numTokens - before.rows,
      cachedTokens,
      tokenIds,
    };
  };
  const answer = (prompt: readonly number[], decoding: DecodingParams) => {
    add(prompt, decoding);
    return finish();
  };
  return { core, add, finish, answer };
}

const oneMore = (prompt: readonly number[]) => someDecoding({ maxLength: prompt.length + 1 });

describe("a repeated prompt", () => {
  it("takes one pass, and computes only the tokens of its last page", () => {
    for (const length of [41, 42, 43, 44]) {
      const { answer } = anEngine();
      const prompt = numbers(length);
      const first = answer(prompt, oneMore(prompt));
      assert.deepEqual([first.steps, first.rows, first.cachedTokens], [2, length, 0]); // 24 rows in a pass
      const again = answer(prompt, oneMore(prompt));
      assert.deepEqual([again.steps, again.rows, again.cachedTokens], [1, length - 40, 40]);
      assert.deepEqual(again.tokenIds, first.tokenIds);
    }
  });

  it("is found by every mode, whichever computed it first", () => {
    const { answer } = anEngine();
    const prompt = numbers(21);
    const search = { kind: "sample", temperature: 1, topK: 0, topP: 1 } as const;
    answer(prompt, someDecoding({ maxLength: 23, search: beams(3) }));
    assert.equal(answer(prompt, someDecoding({ maxLength: 23, search, numReturnSequences: 3 })).rows, 1 + 3);
    assert.equal(answer(prompt, someDecoding({ maxLength: 23 })).rows, 1 + 1);
  });

  it("is computed again when the cache is off", () => {
    const { answer, core } = anEngine({ prefixCache: false });
    const prompt = numbers(21);
    assert.deepEqual([answer(prompt, oneMore(prompt)).rows, answer(prompt, oneMore(prompt)).rows], [21, 21]);
    const { prefixTokensQueried, prefixTokensHit, promptTokens, pagesCached } = core.stats();
    assert.deepEqual([prefixTokensQueried, prefixTokensHit, promptTokens, pagesCached], [0, 0, 42, 0]);
  });
});

describe("a prompt that begins like another", () => {
  it("finds the full pages that both share", () => {
    const { answer, core } = anEngine();
    const prompt = numbers(20);
    answer(prompt, oneMore(prompt));
    assert.equal(answer([...prompt.slice(0, 11), 16, 3, 4, 5, 6], oneMore(numbers(16))).rows, 16 - 8);
    assert.equal(answer([16, ...prompt], oneMore(numbers(21))).rows, 21); // The same tokens at other positions are not found.
    const { prefixTokensQueried, prefixTokensHit } = core.stats();
    assert.deepEqual([prefixTokensQueried, prefixTokensHit], [20 + 16 + 21, 8]);
  });

  it("finds text that was generated before", () => {
    const { answer } = anEngine();
    const { tokenIds } = answer(numbers(6), someDecoding({ maxLength: 30 }));
    assert.equal(tokenIds.length, 30);
    const next = [...tokenIds, 1, 2, 3];
    // The last token of an answer was never computed: of the 29 computed ones, 28 fill pages.
    assert.equal(answer(next, oneMore(next)).rows, 33 - 28);
  });

  it("finds the pages that a running request has filled so far", () => {
    const { add, core, finish } = anEngine();
    const prompt = numbers(60);
    add(prompt, oneMore(prompt));
    core.step(); // 24 of 60 tokens
    add(prompt, oneMore(prompt));
    const { rows, cachedTokens } = finish();
    // The second request waits for the first, and computes only the tokens of its own last page.
    assert.deepEqual([rows, cachedTokens], [24 + 12 + 4, 56]);
  });

  it("is computed once for requests that come at the same time", () => {
    const { add, core, finish } = anEngine();
    const prompt = numbers(9);
    for (let i = 0; i < 2; i++) add(prompt, someDecoding({ maxLength: 12 }));
    assert.deepEqual([core.step().numTokens, core.step().numTokens], [9, 1 + 1]);
    assert.equal(core.stats().pagesInUse, 2 + 2); // Two shared pages, and the incomplete last page of each.
    finish();
  });
});

describe("cached pages", () => {
  it("are evicted for a request that needs all pages", () => {
    const { answer, core } = anEngine({ pages: 12 });
    for (let first = 0; first < 8; first++) answer(numbers(15, first), oneMore(numbers(15)));
    assert.ok(core.stats().pagesCached >= 11);
    // Four beams of 12 positions need all 12 pages.
    const { tokenIds } = answer([16], someDecoding({ maxLength: 13, search: beams(4) }));
    assert.equal(tokenIds.length, 13);
  });

  it("survive an abort of the request that filled them", () => {
    const { add, core, answer } = anEngine();
    const prompt = numbers(21);
    const id = add(prompt, someDecoding({ maxLength: 40 }));
    core.step();
    core.abort(id);
    core.scheduler.pool.assertIdle();
    assert.equal(answer(prompt, oneMore(prompt)).rows, 1);
  });

  it("do not hide which pass is the first of a request", () => {
    const { add, core, finish } = anEngine();
    const prompt = numbers(21);
    for (let i = 0; i < 2; i++) {
      const id = add(prompt, someDecoding({ maxLength: 24 }));
      const { started, prefilled } = core.step();
      assert.deepEqual([started, prefilled], [[id], [id]]);
      assert.deepEqual(core.step().started, []);
      finish();
    }
  });
});

describe("new tokens", () => {
  it("are counted after every pass, also those of a request that is aborted", () => {
    const { add, core, finish } = anEngine();
    const search = { kind: "sample", temperature: 1, topK: 0, topP: 1 } as const;
    const id = add([1, 2], someDecoding({ maxLength: 40, search, numReturnSequences: 3 }));
    core.step();
    core.step();
    assert.equal(core.stats().tokensGenerated, 2 * 3);
    core.abort(id);
    add([1, 2], someDecoding({ maxLength: 12 }));
    finish();
    assert.equal(core.stats().tokensGenerated, 2 * 3 + 10);
    assert.equal(core.stats().promptTokens, 4);
  });
});
