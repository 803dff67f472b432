import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Dice } from "../../test/support/crowd.ts";
import { Bpe, type BpeModel, type Merge } from "./bpe.ts";
import { BYTE_TO_CHAR } from "./byte-map.ts";

/** The definition, word for word: merge the leftmost pair of the lowest rank until none has a rank. */
function mergeNaively(symbols: readonly number[], merges: readonly Merge[]): number[] {
  const ids = [...symbols];
  for (;;) {
    let best = { rank: Infinity, position: -1 };
    for (let position = 0; position + 1 < ids.length; position++) {
      const rank = merges.findIndex(
        ({ left, right }) => left === ids[position] && right === ids[position + 1],
      );
      if (rank >= 0 && rank < best.rank) best = { rank, position };
    }
    const merge = merges[best.rank];
    if (!merge) return ids;
    ids.splice(best.position, 2, merge.merged);
  }
}

/** Each byte has a token, whose id is the byte unless it is told. */
function modelOf(merges: readonly Merge[], idOf = (byte: number): number => byte): BpeModel {
  return { vocab: new Map(BYTE_TO_CHAR.map((char, byte) => [char, idOf(byte)])), merges, isByteLevel: true };
}

/** Bytes are their own ids; merges combine any two earlier tokens in random order of rank. */
function randomModel(dice: Dice, letters: number, numMerges: number): BpeModel {
  const tokens = Array.from({ length: letters }, (_, i) => 97 + i);
  const merges: Merge[] = [];
  const seen = new Set<string>();
  while (merges.length < numMerges) {
    const [left, right] = [dice.oneOf(tokens), dice.oneOf(tokens)];
    if (seen.has(`${left} ${right}`)) continue;
    seen.add(`${left} ${right}`);
    const merged = 256 + merges.length;
    tokens.push(merged);
    merges.splice(dice.chance(0.2) ? dice.below(merges.length + 1) : merges.length, 0, {
      left,
      right,
      merged,
    });
  }
  return modelOf(merges);
}

describe("Bpe", () => {
  it("equals the definition on random vocabularies and pieces", () => {
    const dice = new Dice(1);
    for (let round = 0; round < 60; round++) {
      const letters = 1 + dice.below(4);
      const model = randomModel(dice, letters, 1 + dice.below(20));
      const bpe = new Bpe(model);
      for (const length of [0, 1, 2, 3, 7, 20, 150]) {
        const bytes = Array.from({ length }, () => 97 + dice.below(letters));
        const piece = String.fromCharCode(...bytes);
        assert.deepEqual(
          bpe.encode(piece),
          mergeNaively(bytes, model.merges),
          JSON.stringify({ model, piece }),
        );
      }
    }
  });

  it("merges overlapping pairs from the left", () => {
    const bpe = new Bpe(modelOf([{ left: 97, right: 97, merged: 256 }]));
    assert.deepEqual(bpe.encode("aaaaa"), [256, 256, 97]);
  });

  it("takes a merge that an earlier one made possible before merges of higher rank", () => {
    const [a, b, c, d] = [97, 98, 99, 100];
    const merges = [
      { left: 256, right: c, merged: 257 }, // ab + c ranks before a + b
      { left: a, right: b, merged: 256 },
      { left: c, right: d, merged: 258 },
    ];
    assert.deepEqual(new Bpe(modelOf(merges)).encode("abcd"), [257, d]);
    assert.deepEqual(new Bpe(modelOf(merges)).encode("acd"), [a, 258]);
  });

  it("gives the same ids for a million letters as for their parts", () => {
    const merges = [
      { left: 97, right: 97, merged: 256 },
      { left: 256, right: 256, merged: 257 },
    ];
    const ids = new Bpe(modelOf(merges)).encode("a".repeat(1_000_003));
    assert.equal(ids.length, 250_002);
    assert.ok(ids.slice(0, 250_000).every((id) => id === 257));
    assert.deepEqual(ids.slice(-2), [256, 97]);
  });

  it("gives the same ids from its cache, also after many other pieces", () => {
    const dice = new Dice(2);
    const model = randomModel(dice, 3, 12);
    const bpe = new Bpe(model);
    const pieces = Array.from({ length: 20_000 }, (_, i) =>
      i.toString(3).replace(/./g, (digit) => "abc".charAt(Number(digit))),
    );
    const first = pieces.map((piece) => bpe.encode(piece).join());
    const second = pieces.map((piece) => bpe.encode(piece).join());
    assert.deepEqual(second, first);
    assert.equal(first[17], mergeNaively([98, 99, 99], model.merges).join()); // 17 is 122 in base 3.
  });

  it("does not confuse an id outside the merges with a pair", () => {
    const idOf = (byte: number): number => (byte === 97 ? 0 : byte === 98 ? 5 : byte);
    // No merge has an id above 2, so a table of pairs with base 3 would give (0, 5) the key of (1, 2).
    const merges = [{ left: 1, right: 2, merged: 300 }];
    assert.deepEqual(new Bpe(modelOf(merges, idOf)).encode("ab"), [0, 5]);
  });
});
