// What is streamed is the answer: for crowds of all modes the pieces of every sequence, joined, are its text, and no
// piece ends inside a character. The vocabulary is made of parts of characters, so that most tokens are none.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EngineCore } from "../../src/engine/engine-core.ts";
import { TextStream } from "../../src/generator/text-stream.ts";
import type { TextPiece } from "../../src/request/generation.ts";
import { BYTE_TO_CHAR } from "../../src/tokenizer/byte-map.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { Dice, randomRequest } from "../support/crowd.ts";
import { FakeBackend } from "../support/fake-backend.ts";

const EOS = 16;

/** Letters, whole and broken characters, and a special token: ids 0 … 16. */
function brokenTokenizer(): Tokenizer {
  const tokens = [
    "a",
    " b",
    "é",
    "\xf0\x9f",
    "\x98\x8a",
    "\xf0",
    "\x9f",
    "\x98",
    "\x8a",
    "\xc3",
    "\xa9",
    "\xe2\x82",
  ];
  tokens.push("\xac", "\xff", "\xef\xbb\xbf", "z");
  const vocab = tokens.map((token, id): [string, number] => {
    const bytes = Buffer.from(token, "latin1");
    return [[...bytes].map((byte) => BYTE_TO_CHAR[byte]).join(""), id];
  });
  const flags = { special: true, lstrip: false, rstrip: false, singleWord: false, normalized: false };
  return new Tokenizer({
    vocab: new Map(vocab),
    bpe: { byteIds: [], merges: [] },
    addedTokens: [{ id: EOS, content: "<|endoftext|>", ...flags }],
    addPrefixSpace: false,
    endOfTextId: EOS,
  });
}

/** Joined pieces of each sequence, and its text, for each request of a crowd. */
function stream(seed: number, vocabSize: number, numRequests: number) {
  const dice = new Dice(seed);
  const tokenizer = brokenTokenizer();
  const core = new EngineCore(new FakeBackend({ vocabSize }), [EOS]);
  const crowd = Array.from({ length: numRequests }, (_, id) => {
    const { prompt, decoding } = randomRequest(dice, vocabSize, 20, 44);
    const pieces: TextPiece[] = [];
    const text = new TextStream(prompt, tokenizer, (piece) => pieces.push(piece));
    core.add({ id, promptTokenIds: prompt, decoding, client: id % 3, streams: true });
    return { pieces, text, decoding, early: 0, texts: [] as string[] };
  });
  while (!core.isIdle) {
    const { progress, finished } = core.step();
    for (const { id, tokenIds } of progress) crowd[id]?.text.push(tokenIds);
    for (const { request, hypotheses } of finished) {
      const one = crowd[request.id] as (typeof crowd)[number];
      one.early = one.pieces.length;
      one.text.finish(hypotheses);
      one.texts = hypotheses.map((h) => tokenizer.decode(h.tokenIds, { skipSpecialTokens: true }));
    }
  }
  return crowd;
}

function check(crowd: ReturnType<typeof stream>): void {
  for (const { pieces, texts } of crowd) {
    const joined = texts.map((_, index) =>
      pieces
        .filter((piece) => piece.index === index)
        .map(({ text }) => text)
        .join(""),
    );
    assert.deepEqual(joined, texts);
    assert.ok(pieces.every(({ index, text }) => index < texts.length && text !== ""));
  }
}

describe("streamed text", () => {
  it("joins to the answer, for crowds of all modes", () => {
    let earlyBeams = 0;
    for (let seed = 0; seed < 12; seed++) {
      const crowd = stream(seed, 17, 60);
      check(crowd);
      const beams = crowd.filter(({ decoding, early }) => {
        return decoding.search.kind === "beam" && decoding.search.numBeams > 1 && early > 0;
      });
      earlyBeams += beams.length;
    }
    assert.ok(earlyBeams > 50, `${earlyBeams} beam searches streamed before they were done`);
  });

  it("joins to the answer when beams run out of tokens that are not banned", () => {
    for (let seed = 100; seed < 112; seed++) check(stream(seed, 3, 60));
  });
});
