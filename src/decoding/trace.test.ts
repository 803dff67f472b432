// Traces show what the search really did, and do not change it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ruleValues } from "../../test/support/checkpoints.ts";
import { PlainLogitsRow } from "../kernels/reference/plain-logits-row.ts";
import type { BeamStepTrace } from "./beam-trace.ts";
import type { DecodingParams } from "./decoding-params.ts";
import { temperature, topK, topP } from "./logits-processors.ts";
import { makeStrategy } from "./make-strategy.ts";
import { extended, type Hypothesis, type SettledTokens } from "./strategy.ts";

const VOCAB = 40;
const PROMPT = [3, 1, 2];
const EOS = 7;
const BASE = { maxLength: 12, numReturnSequences: 3, seed: 5, noRepeatNgramSize: 0, logprobs: 4 } as const;

/** Logits that depend on the tokens so far. */
function rowOf(tokenIds: readonly number[]): Float32Array {
  return ruleValues(tokenIds.join(), VOCAB, 1, 8, 0);
}

interface Run {
  readonly results: readonly Hypothesis[];
  readonly steps: readonly BeamStepTrace[];
}

function run(params: DecodingParams): Run {
  const strategy = makeStrategy(params, { promptLength: PROMPT.length, eosTokenIds: new Set([EOS]) });
  const steps: BeamStepTrace[] = [];
  let live: (SettledTokens & { readonly index: number })[] = [{ index: 0, tokenIds: PROMPT }];
  while (live.length > 0) {
    const rows = live.map(({ tokenIds }) => new PlainLogitsRow(rowOf(tokenIds)));
    const parents = live;
    live = strategy.advance(parents, rows).map((next) => {
      return { index: next.index, ...extended(parents[next.parent] as SettledTokens, next) };
    });
    steps.push(...(strategy.takeTrace?.() ?? []));
  }
  return { results: strategy.results(), steps };
}

const SEARCHES: Readonly<Record<string, DecodingParams["search"]>> = {
  greedy: { kind: "greedy" },
  sampled: { kind: "sample", temperature: 0.8, topK: 12, topP: 0.9 },
  beams: { kind: "beam", numBeams: 4, lengthPenalty: 1, earlyStopping: false },
};

test("a search with a trace finds what it finds without one", () => {
  for (const [name, search] of Object.entries(SEARCHES)) {
    const params = { ...BASE, search, noRepeatNgramSize: 2 };
    const withoutTrace = (results: readonly Hypothesis[]) =>
      results.map(({ logprobs, ...rest }) => ({
        ...rest,
        logprobs: logprobs?.map(({ logprob, top }) => ({ logprob, top })),
      }));
    assert.deepEqual(withoutTrace(run({ ...params, trace: true }).results), run(params).results, name);
  }
});

test("a choice tells what the filters left, the probabilities behind them and where the draw fell", () => {
  const search = { kind: "sample", temperature: 0.8, topK: 12, topP: 0.9 } as const;
  let numChecked = 0;
  for (const { tokenIds, logprobs = [] } of run({ ...BASE, search, trace: true }).results) {
    for (const [i, { logprob, top, rank, choice }] of logprobs.entries()) {
      const before = tokenIds.slice(0, PROMPT.length + i);
      const chosen = tokenIds[PROMPT.length + i] as number;
      const raw = rowOf(before);
      assert.equal(
        rank,
        1 + raw.filter((z, id) => z > raw[chosen]! || (z === raw[chosen] && id < chosen)).length,
      );
      assert.equal(logprob, (raw[chosen] as number) - new PlainLogitsRow(raw.slice()).logSumExp());
      const row = new PlainLogitsRow(raw.slice());
      const left = (parameter: string, process: (row: PlainLogitsRow, ids: readonly number[]) => void) => {
        process(row, before);
        return { parameter, left: row.values.filter((z) => z > -Infinity).length };
      };
      assert.deepEqual(choice?.filters, [
        left("temperature", temperature(0.8)),
        left("top_k", topK(12)),
        left("top_p", topP(0.9)),
      ]);
      const total = row.values.reduce((sum, z) => sum + Math.exp(z), 0);
      const shareOf = (id: number): number => Math.exp(row.values[id] as number) / total;
      const isNear = (a: number | undefined, b: number): void =>
        assert.ok(Math.abs((a ?? Number.NaN) - b) < 1e-12, `${a} for ${b}`);
      isNear(choice?.probability, shareOf(chosen));
      for (const [j, { tokenId }] of top.entries()) isNear(choice?.topProbabilities[j], shareOf(tokenId));
      const { u, low, high } = choice?.draw ?? { u: Number.NaN, low: 0, high: 0 };
      assert.ok(low <= u && u < high, `${low} <= ${u} < ${high}`);
      isNear(low, row.values.slice(0, chosen).reduce((sum, z) => sum + Math.exp(z), 0) / total);
      isNear(high - low, shareOf(chosen));
      numChecked++;
    }
  }
  assert.ok(numChecked > 10);
});

test("a greedy choice has no draw, and a banned token no probability", () => {
  const params = { ...BASE, search: { kind: "greedy" }, noRepeatNgramSize: 1, trace: true } as const;
  const [{ tokenIds, logprobs = [] } = { tokenIds: [] }] = run(params).results;
  let numBanned = 0;
  for (const [i, { top, choice }] of logprobs.entries()) {
    assert.equal(choice?.draw, undefined);
    const before = tokenIds.slice(0, PROMPT.length + i);
    assert.deepEqual(choice?.filters, [{ parameter: "no_repeat_ngram_size", left: VOCAB - before.length }]);
    for (const [j, { tokenId }] of top.entries()) {
      if (!before.includes(tokenId)) continue;
      assert.equal(choice?.topProbabilities[j], 0);
      numBanned++;
    }
  }
  assert.ok(numBanned > 0);
});

test("the steps of a beam search lead to its results", () => {
  const search = { kind: "beam", numBeams: 4, lengthPenalty: 1, earlyStopping: false } as const;
  const { results, steps } = run({ ...BASE, search, noRepeatNgramSize: 1, trace: true });
  // Rebuilds the beams from the trace, as a reader of it would.
  let beams: number[][] = [PROMPT];
  const ended: { tokenIds: number[]; score: number; isKept: boolean }[] = [];
  for (const step of steps) {
    const extend = ({ parent, tokenId }: { parent: number; tokenId: number }): number[] => [
      ...(beams[parent] as number[]),
      tokenId,
    ];
    for (const one of step.ended) {
      ended.push({ tokenIds: extend(one), score: one.normalised, isKept: one.isKept });
    }
    for (const { beam, tokens } of step.banned) {
      const own = beams[beam] as number[];
      assert.deepEqual(
        tokens.map(({ tokenId }) => tokenId).sort((a, b) => a - b),
        [...new Set(own)].sort((a, b) => a - b),
      );
    }
    for (const { score } of step.dropped) {
      for (const going of step.beams) assert.ok(score <= going.score);
    }
    beams = step.beams.map(extend);
  }
  assert.equal(steps.length > 2 && ended.length > 0, true);
  for (const { tokenIds, score } of results) {
    const found = ended.find((one) => one.tokenIds.join() === tokenIds.join());
    assert.equal(found?.score, score);
    assert.equal(found?.isKept, true);
  }
});

test("the logits behind a prompt come as the model gave them, with what the processors change", () => {
  const search = { kind: "greedy" } as const;
  const penalties = { logitBias: new Map([[9, 2.5]]) };
  const params = {
    ...BASE,
    maxLength: PROMPT.length,
    search,
    noRepeatNgramSize: 1,
    penalties,
    tellsNext: true,
  } as const;
  const [{ next } = {} as Hypothesis] = run(params).results;
  const raw = rowOf(PROMPT);
  assert.deepEqual(next?.logits, raw);
  assert.deepEqual(next?.changed, [
    [1, -Infinity],
    [2, -Infinity],
    [3, -Infinity],
    [9, Math.fround((raw[9] as number) + 2.5)],
  ]);
  assert.equal(run({ ...params, tellsNext: undefined as never }).results[0]?.next, undefined);
});
