// A text that ends within a character, whole and as events: the texts of its tokens, joined, are the text.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GeneratedSequence, Generation } from "../../request/generation.ts";
import { generatedTexts, TokenEvents } from "./generation-answer.ts";
import { readHuggingFace } from "./generation-request.ts";

const LIMITS = { contextLength: 64, maxNumReturnSequences: 4, maxNumBeams: 4, randomSeed: () => 0 };
const form = (id: number) => ({ name: `#${id}`, bytes: new Uint8Array(), isSpecial: id === 9 });
const END = { tokenId: 9, text: "" };

for (const [name, ended] of [
  ["at its full length", {}],
  ["by an end-of-text", { endToken: END, finishReason: "stop" }],
] as const) {
  test(`a text that ends within a character, ${name}`, () => {
    const tokens = [
      { tokenId: 1, text: "a" },
      { tokenId: 2, text: "" },
    ];
    const sequence: GeneratedSequence = {
      text: "a\ufffd",
      tokenIds: [0, 1, 2],
      tokens,
      rest: "\ufffd",
      finishReason: "length",
      ...ended,
    };
    const generation = {
      sequences: [sequence],
      prompt: { tokenIds: [0], text: "x" },
    } as unknown as Generation;
    const body = { inputs: "x", parameters: { details: true, return_full_text: false } };
    const request = readHuggingFace(body, LIMITS, { echoes: false });
    const [whole] = generatedTexts(request, [generation], form) as [
      { details: { tokens: { text: string }[] } },
    ];
    const events = new TokenEvents(request, form);
    const sent = [...events.piece({ index: 0, text: "a", tokens }), ...events.end(generation)] as {
      token: { text: string };
    }[];
    const expected = ["a", "\ufffd", ...("endToken" in ended ? ["#9"] : [])];
    assert.deepEqual(
      whole.details.tokens.map(({ text }) => text),
      expected,
    );
    assert.deepEqual(
      sent.map(({ token }) => token.text),
      expected,
    );
  });
}
