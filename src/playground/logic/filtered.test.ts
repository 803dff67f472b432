// Compares the sliders with real requests: sampling draws exactly the tokens that the page says are left.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeStrategy } from "../../decoding/make-strategy.ts";
import { uniform } from "../../decoding/random.ts";
import { PlainLogitsRow } from "../../kernels/reference/plain-logits-row.ts";
import { type Filters, filtered, logitsOf, NO_FILTERS } from "./filtered.ts";

const VOCABULARY = 60;
const logits = Float32Array.from({ length: VOCABULARY }, (_, id) => 8 * uniform(3, 0, id));

/** The tokens of many draws. */
function drawn({ temperature, topK, topP, minP }: Filters): Set<number> {
  const search = { kind: "sample", temperature, topK, topP, minP } as const;
  const decoding = { maxLength: 2, numReturnSequences: 20_000, seed: 5, noRepeatNgramSize: 0, search };
  const strategy = makeStrategy(decoding, { promptLength: 1, eosTokenIds: new Set() });
  strategy.advance([{ index: 0, tokenIds: [0] }], [new PlainLogitsRow(logits.slice())]);
  return new Set(strategy.results().map(({ tokenIds }) => tokenIds[1] as number));
}

describe("what the sliders leave over", () => {
  const cases: readonly Filters[] = [
    { ...NO_FILTERS, topK: 7 },
    { ...NO_FILTERS, topP: 0.6 },
    { ...NO_FILTERS, minP: 0.1 },
    { temperature: 0.5, topK: 20, topP: 0.9, minP: 0.05 },
    { temperature: 1.5, topK: 9, topP: 0.95, minP: 0 },
  ];
  for (const filters of cases) {
    it(`is what a request draws from: ${JSON.stringify(filters)}`, () => {
      const { probabilities } = filtered(logits, filters);
      const likely = [...probabilities].filter(([, p]) => p > 1e-3).map(([id]) => id);
      const found = drawn(filters);
      for (const id of found) assert.ok(probabilities.has(id), `${id} is drawn and should be out`);
      for (const id of likely) assert.ok(found.has(id), `${id} is never drawn`);
      const sum = [...probabilities.values()].reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 1) < 1e-9);
    });
  }

  it("is what each single filter is defined to keep", () => {
    const row = Float32Array.from([0.5, 0.3, 0.15, 0.05], Math.log);
    const left = (filters: Partial<Filters>) => [
      ...filtered(row, { ...NO_FILTERS, ...filters }).probabilities.keys(),
    ];
    assert.deepEqual(left({}), [0, 1, 2, 3]);
    assert.deepEqual(left({ minP: 0.25 }), [0, 1, 2]);
    assert.deepEqual(left({ topK: 2 }), [0, 1]);
    assert.deepEqual(left({ topP: 0.6 }), [0, 1]);
    assert.deepEqual(left({ temperature: 0.5, topP: 0.6 }), [0]);
  });

  it("has an entropy", () => {
    const even = filtered(new Float32Array(8), NO_FILTERS);
    assert.ok(Math.abs(even.entropyBits - 3) < 1e-12);
    assert.ok(Math.abs(even.perplexity - 8) < 1e-9);
  });

  it("is computed from the logits as they are sent, little-endian, with changed and banned ones", () => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat32(0, 1.5, true);
    new DataView(bytes.buffer).setFloat32(4, -2, true);
    const sent = btoa(String.fromCharCode(...bytes));
    assert.deepEqual([...logitsOf({ logits: sent, changed: [] })], [1.5, -2]);
    assert.deepEqual(
      [
        ...logitsOf({
          logits: sent,
          changed: [
            [0, null],
            [1, 3],
          ],
        }),
      ],
      [-Infinity, 3],
    );
  });
});
