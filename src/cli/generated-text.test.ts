import assert from "node:assert/strict";
import { test } from "node:test";
import { someDecoding } from "../../test/support/inline-engine.ts";
import type { Generation, Generator } from "../request/generation.ts";
import { answerInWords, answerLine, answerWhileItGrows } from "./generated-text.ts";

const sequence = (text: string) => ({ text, tokenIds: [1, 2], tokens: [], finishReason: "length" as const });
const GENERATION: Generation = {
  sequences: [sequence("One two"), { ...sequence("One\u2028"), score: -0.5 }],
  seed: 7,
  prompt: { tokenIds: [1], text: "One" },
  promptTokens: 1,
  cachedTokens: 0,
  generatedTokens: 2,
  droppedTokens: 0,
  timing: { queueMs: 0, firstTokenMs: 0, totalMs: 0 },
};

/** A generator that streams pieces of the first text, and the second text as one piece. */
function generator(pieces: readonly string[]): Generator {
  return {
    model: { name: "m", precision: "f32" },
    generate: async (_, { onPiece } = {}) => {
      for (const text of pieces) onPiece?.({ index: 0, text, tokens: [] });
      onPiece?.({ index: 1, text: "One\u2028", tokens: [] });
      return GENERATION;
    },
  } as Partial<Generator> as Generator;
}

test("an answer that is written while it is generated ends up as the whole answer", async () => {
  for (const pieces of [["One", " two"], ["One"], []]) {
    const written: string[] = [];
    await answerWhileItGrows(
      generator(pieces),
      { input: "One", decoding: someDecoding({ maxLength: 8 }) },
      (text) => {
        written.push(text);
      },
    );
    assert.deepEqual(written.slice(0, -1), pieces);
    assert.equal(written.join(""), answerInWords(GENERATION));
  }
});

test("as JSON an answer is one line with everything known about it", () => {
  const line = answerLine(GENERATION, generator([]), { decoding: someDecoding({ maxLength: 9 }) });
  assert.match(line, /^[^\n\u2028]*\n$/);
  assert.deepEqual(JSON.parse(line), {
    sequences: [
      { text: "One two", token_ids: [1, 2], finish_reason: "length" },
      { text: "One\u2028", token_ids: [1, 2], finish_reason: "length", score: -0.5 },
    ],
    seed: 7,
    model: "m",
    precision: "f32",
  });
});
