// Beam search on tiny models, which are functions from a sequence to logits. Single rules are checked by hand, and the whole
// search against a second, simpler implementation that keeps all candidates of a step in one list.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PlainLogitsRow } from "../kernels/reference/plain-logits-row.ts";
import type { DecodingParams } from "./decoding-params.ts";
import { makeStrategy } from "./make-strategy.ts";
import { uniform } from "./random.ts";
import type { Hypothesis } from "./strategy.ts";

/** The logits that follow a sequence. */
type Model = (tokenIds: readonly number[]) => readonly number[];

interface Options {
  readonly numBeams: number;
  readonly maxLength: number;
  readonly eos?: readonly number[];
  readonly prompt?: readonly number[];
  readonly noRepeatNgramSize?: number;
  readonly lengthPenalty?: number;
  readonly earlyStopping?: boolean;
  readonly numReturnSequences?: number;
}

function search(model: Model, options: Options): Hypothesis[] {
  const { numBeams, maxLength, eos = [], prompt = [0] } = options;
  const decoding: DecodingParams = {
    maxLength,
    numReturnSequences: options.numReturnSequences ?? numBeams,
    seed: 0,
    noRepeatNgramSize: options.noRepeatNgramSize ?? 0,
    search: {
      kind: "beam",
      numBeams,
      lengthPenalty: options.lengthPenalty ?? 1,
      earlyStopping: options.earlyStopping ?? false,
    },
  };
  const strategy = makeStrategy(decoding, { promptLength: prompt.length, eosTokenIds: new Set(eos) });
  let sequences = [{ index: 0, tokenIds: prompt }];
  while (sequences.length > 0) {
    const rows = sequences.map(({ tokenIds }) => new PlainLogitsRow(Float32Array.from(model(tokenIds))));
    sequences = strategy.advance(sequences, rows).map(({ parent, index, tokenId }) => ({
      index,
      tokenIds: [...(sequences[parent]?.tokenIds ?? []), tokenId],
    }));
  }
  return strategy.results();
}

const newIds = (hypotheses: readonly Hypothesis[], prompt = 1): number[][] =>
  hypotheses.map(({ tokenIds }) => tokenIds.slice(prompt));

/** Logits for probabilities that sum to one. */
const probabilities = (...list: number[]): number[] => list.map(Math.log);

function assertScores(hypotheses: readonly Hypothesis[], expected: readonly number[]): void {
  assert.equal(hypotheses.length, expected.length);
  for (const [i, { score = Number.NaN }] of hypotheses.entries()) {
    assert.ok(Math.abs(score - (expected[i] as number)) < 1e-6, `score ${i} is ${score}, not ${expected[i]}`);
  }
}

describe("beam search", () => {
  it("finds the likelier text where the likelier first token leads astray", () => {
    const model: Model = (ids) =>
      ids.length === 1
        ? probabilities(0.6, 0.4)
        : ids[1] === 0
          ? probabilities(0.5, 0.5)
          : probabilities(0.1, 0.9);
    const found = search(model, { numBeams: 2, maxLength: 3 });
    assert.deepEqual(newIds(found), [
      [1, 1],
      [0, 0],
    ]);
    assertScores(found, [Math.log(0.4 * 0.9) / 2, Math.log(0.6 * 0.5) / 2]);
  });

  it("takes the lower beam, and in a beam the lower token, on a tie", () => {
    const model: Model = () => [1, 1, 1];
    assert.deepEqual(newIds(search(model, { numBeams: 3, maxLength: 2 })), [[0], [1], [2]]);
    assert.deepEqual(newIds(search(model, { numBeams: 3, maxLength: 3 })), [
      [0, 0],
      [0, 1],
      [0, 2],
    ]);
  });

  it("divides by the number of new tokens, end of text included, to the power of the penalty", () => {
    // Token 2 ends a text: at once with probability 0.3, later with certainty.
    const model: Model = (ids) =>
      ids.length === 1 ? probabilities(0.4, 0.3, 0.3) : probabilities(1e-9, 1e-9, 1);
    const options = { numBeams: 2, maxLength: 5, eos: [2], prompt: [1, 1, 1] };
    const from3: Model = (ids) => model(ids.slice(2));
    const found = search(from3, options);
    assert.deepEqual(newIds(found, 3), [
      [0, 2],
      [1, 2],
    ]);
    assertScores(found, [Math.log(0.4) / 2, Math.log(0.3) / 2]);
    const squared = search(from3, { ...options, lengthPenalty: 2 });
    assertScores(squared, [Math.log(0.4) / 4, Math.log(0.3) / 4]);
    const none = search(from3, { ...options, lengthPenalty: 0 });
    assertScores(none, [Math.log(0.4), Math.log(0.3)]);
  });

  it("ignores an end of text that is not among the best num_beams candidates", () => {
    const model: Model = (ids) =>
      ids.length === 1 ? probabilities(0.5, 0.3, 0.2) : probabilities(0.5, 0.5, 1e-12);
    const found = search(model, { numBeams: 2, maxLength: 3, eos: [2] });
    assert.ok(found.every(({ finishReason }) => finishReason === "length"));
  });

  it("keeps the older of two hypotheses of the same value in front", () => {
    // It ends at once with probability 1/4, or after one token with 1/4 · 1/4. Per token both have the same value, −ln 4.
    const model: Model = () => probabilities(0.25, 0.25, 0.25, 0.25);
    const found = search(model, { numBeams: 4, maxLength: 3, eos: [0] });
    assert.deepEqual(newIds(found), [[0], [1, 0], [1, 1], [1, 2]]);
  });

  it("stops when no live beam is better than the worst hypothesis, or early when told to", () => {
    let steps = 0;
    const model: Model = (ids) => {
      steps = Math.max(steps, ids.length);
      return ids.length === 1 ? probabilities(0.2, 0.4, 0.4) : probabilities(0.9, 0.05, 0.05);
    };
    const eos = [1, 2];
    const options = { numBeams: 2, maxLength: 9, eos };
    assert.deepEqual(newIds(search(model, { ...options, earlyStopping: true })), [[1], [2]]);
    assert.equal(steps, 1);
    steps = 0;
    const patient: Model = (ids) => {
      steps = Math.max(steps, ids.length);
      return ids.length === 1 ? probabilities(0.4, 0.35, 0.25) : probabilities(0.9, 0.05, 0.05);
    };
    // After the second step the list is full, and the live beam (0.36) is better than the worst of the list (0.02).
    search(patient, { ...options, numBeams: 3, earlyStopping: true });
    assert.equal(steps, 2);
    search(patient, { ...options, numBeams: 3 });
    assert.ok(steps > 2);
  });

  it("stops when the best live beam only equals the worst hypothesis", () => {
    let steps = 0;
    const model: Model = (ids) => {
      steps = Math.max(steps, ids.length);
      return [0, 0, 0];
    };
    assert.deepEqual(newIds(search(model, { numBeams: 2, maxLength: 9, eos: [0, 1] })), [[0], [1]]);
    assert.equal(steps, 1);
  });

  it("bans n-grams after the logarithm of the softmax, without making it up to the others", () => {
    const model: Model = () => probabilities(0.7, 0.2, 0.1);
    const found = search(model, { numBeams: 2, maxLength: 2, noRepeatNgramSize: 1 });
    assert.deepEqual(newIds(found), [[1], [2]]);
    assertScores(found, [Math.log(0.2), Math.log(0.1)]);
  });

  it("lets beams without any continuation stand behind all hypotheses", () => {
    const model: Model = () => probabilities(0.5, 0.3, 0.2);
    const found = search(model, { numBeams: 2, maxLength: 9, noRepeatNgramSize: 1, eos: [2] });
    assert.deepEqual(
      found.map(({ tokenIds, finishReason }) => [tokenIds.slice(1), finishReason]),
      [
        [[1, 2], "stop"],
        [[2], "stop"],
      ],
    );
    // After token 0 every token is banned. After token 2 only 0 and 3 are allowed, and 3 ends the text.
    const prompt = [2, 2, 1, 1, 0, 0, 3, 0, 1, 0, 2];
    const both = search(() => probabilities(0.6, 0.1, 0.1, 0.2), {
      numBeams: 2,
      maxLength: 20,
      noRepeatNgramSize: 2,
      eos: [3],
      prompt,
    });
    assert.deepEqual(newIds(both, prompt.length), [[3], [0]]);
    assert.deepEqual(both[1], { tokenIds: [...prompt, 0], finishReason: "length" });
    const stuck = search(model, { numBeams: 2, maxLength: 9, noRepeatNgramSize: 1 });
    assert.deepEqual(stuck, [
      { tokenIds: [0, 1, 2], finishReason: "length" },
      { tokenIds: [0, 2, 1], finishReason: "length" },
    ]);
    const banned = search(model, { numBeams: 2, maxLength: 9, noRepeatNgramSize: 1, prompt: [0, 1, 2] });
    assert.deepEqual(newIds(banned, 3), [[], []]);
  });
});

/** The same beam search in its simplest form: all candidates of a step in one sorted list, scores in f32. */
function plainBeamSearch(model: Model, options: Required<Options>): number[][] {
  const { numBeams, maxLength, eos, prompt, lengthPenalty, earlyStopping } = options;
  interface Beam {
    readonly ids: readonly number[];
    readonly score: number;
  }
  const byScore = (a: Beam, b: Beam): number => b.score - a.score;
  const ends = ({ ids }: Beam): boolean => eos.includes(ids.at(-1) as number) || ids.length >= maxLength;
  const value = (b: Beam, length: number): Beam => ({
    ids: b.ids,
    score: Math.fround(b.score / (length - prompt.length) ** lengthPenalty),
  });
  let live: Beam[] = [{ ids: prompt, score: 0 }];
  let finished: Beam[] = [];
  for (let length = prompt.length + 1; ; length++) {
    const candidates = live.flatMap(({ ids, score }) => {
      const row = model(ids).map(Math.fround);
      const total = Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0));
      return row.map((z, id) => ({ ids: [...ids, id], score: Math.fround(score + Math.fround(z - total)) }));
    });
    const best = candidates.sort(byScore).slice(0, Math.max(2, 1 + eos.length) * numBeams);
    if (!(earlyStopping && finished.length === numBeams)) {
      const added = best.slice(0, numBeams).filter(ends);
      finished = [...finished, ...added.map((b) => value(b, length))].sort(byScore).slice(0, numBeams);
    }
    live = best.filter((b) => !ends(b)).slice(0, numBeams);
    const worst = finished[numBeams - 1];
    const isHopeless = worst && live[0] && value(live[0], length).score <= worst.score;
    if (live.length === 0 || (worst && (earlyStopping || isHopeless)))
      return finished.map(({ ids }) => [...ids]);
  }
}

describe("beam search agrees with its plainest form", () => {
  const pick = (seed: number, what: number, count: number): number =>
    Math.floor(uniform(seed, what, 0) * count);

  for (const earlyStopping of [false, true]) {
    it(`on 400 random models, early stopping ${earlyStopping}`, () => {
      for (let seed = 0; seed < 400; seed++) {
        const size = 6 + pick(seed, 1, 8);
        const eos = [size - 1, 0, size + 3, 1].slice(0, pick(seed, 22, 5));
        const bias = 2 * pick(seed, 24, 2);
        const model: Model = (ids) => {
          const hash = ids.reduce((h, id) => (Math.imul(h, 31) + id + 1) >>> 0, seed + 17);
          return Array.from(
            { length: size },
            (_, id) => 4 * uniform(hash, 3, id) + (eos.includes(id) ? bias : 0),
          );
        };
        const prompt = Array.from({ length: 1 + pick(seed, 4, 6) }, (_, i) => pick(seed, 5 + i, size));
        const options: Required<Options> = {
          numBeams: 2 + pick(seed, 20, 5),
          maxLength: prompt.length + 1 + pick(seed, 21, 9),
          eos,
          prompt,
          noRepeatNgramSize: 0,
          lengthPenalty: [1, 1, 0, 2][pick(seed, 23, 4)] as number,
          earlyStopping,
          numReturnSequences: 0,
        };
        // With fewer tokens than beams, only the first step has beams without a candidate of their own.
        const all = { ...options, numReturnSequences: options.numBeams };
        const found = search(model, all).filter(({ score = 0 }) => score > -1e6);
        assert.deepEqual(
          newIds(found, 0),
          plainBeamSearch(model, options),
          JSON.stringify({ seed, ...options }),
        );
      }
    });
  }
});
