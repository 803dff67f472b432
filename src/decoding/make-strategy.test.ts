// The order in which `makeStrategy` arranges bans, temperature and filters. In each case another order would keep other tokens.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PlainLogitsRow } from "../kernels/reference/plain-logits-row.ts";
import { makeStrategy } from "./make-strategy.ts";

interface Filters {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly noRepeatNgramSize?: number;
}

/** The set of tokens in 200 draws after the prompt [0], from probabilities 1/2, 3/10, 3/20 and 1/20. */
function drawn({ temperature = 1, topK = 0, topP = 1, noRepeatNgramSize = 0 }: Filters): number[] {
  const search = { kind: "sample", temperature, topK, topP } as const;
  const decoding = { maxLength: 2, numReturnSequences: 200, seed: 5, noRepeatNgramSize, search };
  const strategy = makeStrategy(decoding, { promptLength: 1, eosTokenIds: new Set() });
  const row = new PlainLogitsRow(Float32Array.from([0.5, 0.3, 0.15, 0.05], Math.log));
  strategy.advance([{ index: 0, tokenIds: [0] }], [row]);
  return [...new Set(strategy.results().map(({ tokenIds }) => tokenIds[1] as number))].sort();
}

describe("a row", () => {
  const cases: [string, Filters, readonly number[]][] = [
    ["is whole without filters", {}, [0, 1, 2, 3]],
    // Squared, the first token has 68 % instead of 50 %.
    ["is divided by the temperature before top-p", { temperature: 0.5, topP: 0.6 }, [0]],
    // If two tokens are left, the first has 62 %.
    ["is filtered by top-k before top-p", { topK: 2, topP: 0.6 }, [0]],
    ["loses banned tokens before top-k", { noRepeatNgramSize: 1, topK: 1 }, [1]],
    // Among the other three, token 1 has 60 %.
    ["loses banned tokens before top-p", { noRepeatNgramSize: 1, topP: 0.5 }, [1]],
    [
      "loses banned tokens, is divided, loses others",
      { noRepeatNgramSize: 1, temperature: 0.5, topP: 0.75 },
      [1],
    ],
  ];
  for (const [what, filters, expected] of cases) {
    it(what, () => assert.deepEqual(drawn(filters), expected));
  }
});
