// Texts that end within a character. The U+FFFD for it is returned separately, since the tokens may have been sent already.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TextPiece } from "../request/generation.ts";
import { loadTokenizer } from "../tokenizer/tokenizer-files.ts";
import { resolveModelDirectory } from "./model-directory.ts";
import { TextStream } from "./text-stream.ts";

const tokenizer = await loadTokenizer(resolveModelDirectory("tiny"));
const THE = 464;
/** The first two of the three bytes of 日. */
const HALF = [162, 245];

for (const [name, stops] of [
  ["no stop string", []],
  ["stop strings", ["x"]],
] as const) {
  test(`with ${name}, what stands for an incomplete character is told`, () => {
    const pieces: TextPiece[] = [];
    const options = { promptTokenIds: [THE], tokenizer, prefix: "", tellsTokens: true, stops };
    const stream = new TextStream({ ...options, onPiece: (piece) => pieces.push(piece) });
    stream.push([{ tokenIds: [THE] }]);
    stream.push([{ tokenIds: [HALF[0] as number] }]);
    const [sequence] = stream.finish([{ tokenIds: [THE, THE, ...HALF], finishReason: "length" }]);
    assert.deepEqual([sequence?.text, sequence?.rest], ["The\ufffd", "\ufffd"]);
    assert.deepEqual(
      sequence?.tokens.map(({ text }) => text),
      ["The", "", ""],
    );
    assert.equal(pieces.map(({ text }) => text).join(""), sequence?.text);
  });
}
