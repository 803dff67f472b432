// The effects of guessing tokens (speculative decoding), counted with a fake backend: fewer passes, more rows, and no cached pages
// with wrong guesses. `scheduler.test.ts` and `batch-invariance.test.ts` test that answers stay the same.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DecodingParams } from "../../src/decoding/decoding-params.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { BackendLimits, ForwardBatch, ForwardChunk } from "../../src/model/backend.ts";
import { FakeBackend } from "../support/fake-backend.ts";
import { beams, someDecoding } from "../support/inline-engine.ts";

/** A backend that records the chunks of all passes. */
class ChunkLog extends FakeBackend {
  readonly chunks: ForwardChunk[] = [];

  override forward(batch: ForwardBatch) {
    this.chunks.push(...batch.chunks.map((chunk) => ({ ...chunk, pages: [...chunk.pages] })));
    return super.forward(batch);
  }

  /** Number of tokens in chunks with guesses. */
  get guessing(): ForwardChunk[] {
    return this.chunks.filter(({ logits, tokenIds }) => logits === "all" && tokenIds.length > 1);
  }
}

const SAMPLE = { kind: "sample", temperature: 1, topK: 0, topP: 1 } as const;

/** A model whose next token depends on the last `span` tokens only, so that greedy search soon repeats itself. */
function anEngine({ span = 1, speculation = true, limits = {} as Partial<BackendLimits> } = {}) {
  const backend = new ChunkLog({ contextLength: 400, pages: 400, ...limits }, span);
  const core = new EngineCore(backend, [], { prefixCache: true, speculation });
  let nextId = 0;
  const add = (promptTokenIds: readonly number[], decoding: DecodingParams): number => {
    core.add({ id: nextId, promptTokenIds, decoding, client: nextId, streams: false });
    return nextId++;
  };
  /** Runs until all is done. Returns the sequences of each answer, and the cached tokens of its prompt. */
  const finish = () => {
    const answers: { tokenIds: (readonly number[])[]; cachedTokens: number }[] = [];
    while (!core.isIdle) {
      for (const { hypotheses, cachedTokens } of core.step().finished) {
        answers.push({ tokenIds: hypotheses.map(({ tokenIds }) => tokenIds), cachedTokens });
      }
    }
    core.scheduler.pool.assertIdle();
    return answers;
  };
  return { backend, core, add, finish };
}

describe("a text that repeats itself", () => {
  it("takes few passes, because most guesses are right", () => {
    const { core, add, finish } = anEngine();
    add([1], someDecoding({ maxLength: 201 }));
    finish();
    const { steps, tokensGenerated, tokensGuessed, tokensAccepted } = core.stats();
    assert.equal(tokensGenerated, 200);
    assert.equal(tokensAccepted, tokensGenerated - steps);
    assert.ok(steps < 60 && tokensAccepted > 0.9 * tokensGuessed, JSON.stringify(core.stats()));
  });

  it("takes one pass for each token without guessing", () => {
    const { core, add, finish } = anEngine({ speculation: false });
    add([1], someDecoding({ maxLength: 201 }));
    finish();
    const { steps, tokensGuessed, tokensAccepted } = core.stats();
    assert.deepEqual([steps, tokensGuessed, tokensAccepted], [200, 0, 0]);
  });

  it("is guessed from the other sequences of the request", () => {
    const { core, add, finish } = anEngine({ limits: { vocabSize: 400, maxLogitRows: 24 } });
    // No pair of tokens occurs twice in the prompt, and all sequences get the same text.
    const decoding = { maxLength: 60, search: { ...SAMPLE, topK: 1 }, numReturnSequences: 2 };
    add([1], someDecoding(decoding));
    const [answer] = finish();
    assert.deepEqual(answer?.tokenIds[0], answer?.tokenIds[1]);
    assert.ok(core.stats().tokensAccepted > 40);
  });
});

describe("a text that does not repeat itself", () => {
  it("costs hardly any additional row, even if the same pairs of tokens recur", () => {
    const { core, add, finish } = anEngine({ span: 400 });
    for (let seed = 0; seed < 4; seed++)
      add([1, seed], someDecoding({ maxLength: 300, search: SAMPLE, seed }));
    finish();
    const { tokensGuessed, tokensGenerated } = core.stats();
    assert.ok(tokensGuessed < 0.02 * tokensGenerated, `${tokensGuessed} of ${tokensGenerated}`);
  });

  it("is guessed again when it begins to repeat itself", () => {
    const { core, add, finish } = anEngine({ span: 400 });
    // A random prompt, and then a single token that is forced for ever.
    const penalties = { logitBias: new Map([[3, 1e6]]) };
    const prompt = Array.from({ length: 200 }, (_, i) => (i * i * 7 + i) % 17);
    add(prompt, someDecoding({ maxLength: 300, penalties }));
    finish();
    assert.ok(core.stats().tokensAccepted > 60);
  });
});

describe("guesses", () => {
  it("take only rows that no other request needs", () => {
    const limits = { maxBatchTokens: 12, maxLogitRows: 6 };
    const { core, add, finish } = anEngine({ limits });
    for (let i = 0; i < 6; i++) add([i], someDecoding({ maxLength: 100 }));
    finish();
    assert.deepEqual([core.stats().tokensGuessed, core.stats().steps], [0, 99 + 1 - 1]);
    for (let i = 0; i < 5; i++) add([i], someDecoding({ maxLength: 100 }));
    finish();
    assert.ok(core.stats().tokensGuessed > 0);
  });

  it("go no further than a request can need", () => {
    const { backend, add, finish } = anEngine();
    for (const maxLength of [97, 98, 99, 100, 101, 102]) {
      const { length } = backend.chunks;
      add([2], someDecoding({ maxLength }));
      finish();
      const ends = backend.chunks.slice(length).map(({ position, tokenIds }) => position + tokenIds.length);
      assert.ok(Math.max(...ends) <= maxLength - 1, `${Math.max(...ends)} of ${maxLength}`);
    }
    assert.ok(backend.guessing.length > 10);
  });

  it("are not made for beams", () => {
    const { core, add, finish } = anEngine();
    add([1, 2, 1, 2, 1, 2], someDecoding({ maxLength: 60, search: beams(3) }));
    finish();
    assert.equal(core.stats().tokensGuessed, 0);
  });

  it("that were wrong are never found by a later prompt", () => {
    const { backend, core, add, finish } = anEngine();
    // A frequency penalty makes a repeated token unlikely at last, so that long guesses turn out wrong.
    const decoding = someDecoding({ maxLength: 300, penalties: { frequency: 0.2 } });
    add([1], decoding);
    const [tokenIds = []] = finish()[0]?.tokenIds ?? [];
    const wrong = backend.guessing
      .map(({ position, tokenIds: chunk }) => [...tokenIds.slice(0, position), ...chunk])
      .filter((text) => text.some((tokenId, i) => tokenId !== tokenIds[i]));
    const { tokensGuessed, tokensAccepted } = core.stats();
    assert.ok(wrong.length > 5 && tokensGuessed - tokensAccepted > 20, `${wrong.length} wrong guesses`);
    for (const text of wrong) {
      const numSame = text.findIndex((tokenId, i) => tokenId !== tokenIds[i]);
      const prompt = [...text, 0, 0, 0, 0, 0];
      const other = anEngine();
      other.add(prompt, someDecoding({ maxLength: prompt.length + 1 }));
      add(prompt, someDecoding({ maxLength: prompt.length + 1 }));
      const [answer] = finish();
      assert.deepEqual(answer?.tokenIds, other.finish()[0]?.tokenIds);
      // All full pages of the answered text are found, and none of the wrongly guessed text.
      assert.equal(answer?.cachedTokens, Math.floor(numSame / 4) * 4);
    }
  });
});
