import assert from "node:assert/strict";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { Dice } from "../../test/support/crowd.ts";
import { packageRoot } from "../generator/model-directory.ts";
import { Detokenizer } from "./detokenizer.ts";
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";
import { loadTokenizer } from "./tokenizer-files.ts";

describe("Detokenizer", () => {
  let tokenizer: Tokenizer;
  before(async () => {
    tokenizer = await loadTokenizer(join(packageRoot(), "models", "tiny"));
  });

  const pieces = (ids: readonly number[], options?: DecodeOptions): string[] => {
    const detokenizer = new Detokenizer(tokenizer, options);
    return [...ids.map((id) => detokenizer.push(id)), detokenizer.flush()];
  };

  it("gives a character when its last byte has come", () => {
    assert.deepEqual(pieces([15496, 995, 30325, 232, 0]), ["Hello", " world", " ", "😊", "!", ""]);
  });

  it("gives a replacement character at the end for bytes that are left", () => {
    assert.deepEqual(pieces([47249]), ["", "\ufffd"]);
    assert.deepEqual(pieces([47249, 0]), ["", "\ufffd!", ""]);
    assert.deepEqual(pieces([]), [""]);
  });

  it("leaves special tokens out on request, between the bytes of a character too", () => {
    const options = { skipSpecialTokens: true };
    assert.deepEqual(pieces([50256, 15496, 50256], options), ["", "Hello", "", ""]);
    assert.deepEqual(pieces([47249, 50256, 232], options), ["", "", "😊", ""]);
    assert.deepEqual(pieces([15496, 50256]), ["Hello", "<|endoftext|>", ""]);
  });

  it("gives nothing for ids without a token", () => {
    assert.deepEqual(pieces([47249, 50257, 232, 99999]), ["", "", "😊", "", ""]);
  });

  it("keeps U+FEFF at the start and inside", () => {
    const ids = tokenizer.encode("\ufeff\ufeffa\ufeff");
    assert.equal(pieces(ids).join(""), "\ufeff\ufeffa\ufeff");
  });

  it("keeps two sequences apart", () => {
    const [one, two] = [new Detokenizer(tokenizer), new Detokenizer(tokenizer)];
    assert.equal(one.push(47249), "");
    assert.equal(two.push(15496), "Hello");
    assert.equal(one.push(232), "😊");
    assert.equal(two.flush() + one.flush(), "");
  });

  it("is ready for a new sequence after its flush", () => {
    const detokenizer = new Detokenizer(tokenizer);
    detokenizer.push(47249);
    assert.equal(detokenizer.flush(), "\ufffd");
    const again = tokenizer.encode("\ufeff😊").map((id) => detokenizer.push(id));
    assert.equal(again.join("") + detokenizer.flush(), "\ufeff😊");
  });

  it("joins to what decode gives, for random ids", () => {
    const dice = new Dice(3);
    const emoji = tokenizer.encode("😊👩🏽\ufeff日本é\ufffd");
    for (let round = 0; round < 4000; round++) {
      // Many single bytes: most of these sequences are ill-formed UTF-8.
      const ids = Array.from({ length: dice.below(14) }, () =>
        dice.chance(0.6) ? dice.below(256) : dice.chance(0.4) ? dice.oneOf(emoji) : dice.below(50300),
      );
      for (const options of [{}, { skipSpecialTokens: true }]) {
        const parts = pieces(ids, options);
        assert.equal(parts.join(""), tokenizer.decode(ids, options), JSON.stringify(ids));
        for (const part of parts) assert.ok(!/\p{Surrogate}/u.test(part), JSON.stringify(ids));
      }
    }
  });
});
