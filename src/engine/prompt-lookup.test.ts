import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PromptLookup } from "./prompt-lookup.ts";

const aLookup = (width = 1, promptLength = 1): PromptLookup => new PromptLookup(width, promptLength, 1024);
const guessOf = (tokenIds: readonly number[], count = 3): readonly number[] =>
  aLookup().guess(0, tokenIds, count).tokenIds;

describe("a guess", () => {
  it("is what followed the last time", () => {
    assert.deepEqual(guessOf([1, 2, 3, 4, 5, 9, 1, 2]), [3, 4, 5]);
    assert.deepEqual(guessOf([1, 2, 3, 4, 1, 2, 5, 6, 1, 2]), [5, 6, 1]);
    assert.deepEqual(guessOf([1, 2, 3, 4, 5, 9, 1, 2], 2), [3, 4]);
  });

  it("goes by the longest match, of two tokens at least", () => {
    assert.deepEqual(guessOf([7, 1, 2, 3, 4, 9, 1, 2, 8, 8, 7, 1, 2]), [3, 4, 9]);
    assert.deepEqual(guessOf([1, 2, 3, 4, 2]), []);
    assert.deepEqual(guessOf([5]), []);
    assert.deepEqual(guessOf([5, 5]), []);
  });

  it("repeats what repeats itself, beyond the end of the text", () => {
    assert.deepEqual(guessOf([4, 4, 4], 4), [4, 4, 4, 4]);
    assert.deepEqual(guessOf([9, 1, 2, 3, 1, 2, 3, 1, 2], 7), [3, 1, 2, 3, 1, 2, 3]);
  });

  it("comes from other sequences of the request too, as far as they go", () => {
    const lookup = aLookup(3, 2);
    lookup.guess(0, [1, 2, 5, 6, 7, 8], 3);
    assert.deepEqual(lookup.guess(1, [1, 2, 6, 5, 6], 3).tokenIds, [7, 8]);
    assert.deepEqual(lookup.guess(2, [1, 2, 6, 5], 3).tokenIds, [6]);
  });

  it("is none where none is wanted", () => {
    assert.deepEqual(guessOf([1, 2, 3, 1, 2], 0), []);
    assert.deepEqual(guessOf([1, 2, 3, 1, 2], -1), []);
  });
});

describe("the chance of a guess", () => {
  const period = [11, 12, 13, 14, 15, 16];
  const repeating = (length: number): number[] => Array.from({ length }, (_, i) => period[i % 6] as number);
  const firstChance = (lookup: PromptLookup, tokenIds: readonly number[]): number =>
    lookup.guess(0, tokenIds, 4).chances[0] ?? 0;

  it("grows with the match, and falls from token to token", () => {
    const [two] = aLookup().guess(0, [1, 2, 3, 4, 5, 9, 1, 2], 4).chances;
    const { chances } = aLookup().guess(0, repeating(12), 4);
    assert.ok((chances[0] as number) > (two as number));
    for (let i = 1; i < 4; i++) assert.ok((chances[i] as number) < (chances[i - 1] as number));
  });

  it("grows while guesses are right, whether or not they are tried, and falls when they are wrong", () => {
    const lookup = aLookup();
    const chances = Array.from({ length: 20 }, (_, i) => firstChance(lookup, repeating(12 + i)));
    assert.ok((chances.at(-1) as number) > 0.95, `${chances}`);
    // The same n-grams, each time followed by another token.
    let text = repeating(31);
    for (let i = 0; i < 8; i++) {
      text = [...text, 100 + i, ...repeating(6)];
      lookup.guess(0, text, 4);
      firstChance(lookup, text);
    }
    assert.ok(firstChance(lookup, text) < 0.3);
  });

  it("is each sequence's own", () => {
    const lookup = aLookup(2);
    for (let i = 0; i < 20; i++) lookup.guess(0, repeating(12 + i), 4);
    const fresh = aLookup().guess(0, repeating(12), 1).chances;
    assert.deepEqual(lookup.guess(1, repeating(12), 1).chances, fresh);
  });

  it("does not move when a sequence is asked again and has no new token", () => {
    const lookup = aLookup();
    const first = lookup.guess(0, repeating(12), 4);
    assert.deepEqual(lookup.guess(0, repeating(12), 4), first);
  });
});
