import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BYTE_TO_CHAR, bytesOfToken, isByteLevelToken } from "./byte-map.ts";

describe("the byte table", () => {
  it("gives every byte a character of its own, one UTF-16 unit that is not whitespace", () => {
    assert.equal(new Set(BYTE_TO_CHAR).size, 256);
    for (const char of BYTE_TO_CHAR) {
      assert.equal(char.length, 1);
      assert.match(char, /[^\p{White_Space}\p{C}]/u);
    }
  });

  it("is GPT-2's", () => {
    assert.equal(BYTE_TO_CHAR[0x20], "Ġ");
    assert.equal(BYTE_TO_CHAR[0x0a], "Ċ");
    assert.equal(BYTE_TO_CHAR[0x00], "Ā");
    assert.equal(BYTE_TO_CHAR[0xad], "Ń"); // The soft hyphen is the last that does not print.
    assert.equal(BYTE_TO_CHAR[0x41], "A");
    assert.equal(BYTE_TO_CHAR[0xff], "ÿ");
    assert.equal(BYTE_TO_CHAR.filter((char) => char >= "\u0100").length, 68);
  });

  it("is reversible", () => {
    assert.deepEqual(
      bytesOfToken(BYTE_TO_CHAR.join("")),
      Uint8Array.from({ length: 256 }, (_, i) => i),
    );
  });

  it("knows what is not written in it", () => {
    for (const foreign of ["▁the", "a b", "日", "\u0144"]) {
      assert.equal(bytesOfToken(foreign), undefined);
      assert.equal(isByteLevelToken(foreign), false);
    }
    assert.equal(isByteLevelToken("Ġthe"), true);
  });
});
