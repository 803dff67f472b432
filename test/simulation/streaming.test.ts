// Streamed text equals the answer: for crowds of all modes the pieces of every sequence, joined, are its text, and no piece ends
// inside a character. Most tokens of the vocabulary are only parts of characters.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Hypothesis } from "../../src/decoding/strategy.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import { TextStream, type TextStreamOptions } from "../../src/generator/text-stream.ts";
import { tokenBytesOf } from "../../src/generator/vocabulary.ts";
import type { GeneratedSequence, TextPiece } from "../../src/request/generation.ts";
import { BYTE_TO_CHAR } from "../../src/tokenizer/byte-map.ts";
import { gpt2PreTokenizer } from "../../src/tokenizer/pre-tokenizers.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { Dice, randomRequest } from "../support/crowd.ts";
import { FakeBackend } from "../support/fake-backend.ts";

const EOS = 16;

/** The vocabulary, ids 0 to 16: letters, whole characters, parts of characters, and a special token. */
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
    bpe: { vocab: new Map(vocab), merges: [], isByteLevel: true },
    addedTokens: [{ id: EOS, content: "<|endoftext|>", ...flags }],
    preTokenizer: gpt2PreTokenizer(false),
    endOfTextId: EOS,
  });
}

/** For each request of a crowd, the joined pieces of each sequence and its text. */
function stream(seed: number, vocabSize: number, numRequests: number) {
  const dice = new Dice(seed);
  const tokenizer = brokenTokenizer();
  const tokens = tokenBytesOf(tokenizer);
  const speculation = seed % 2 === 1;
  const backend = new FakeBackend({ vocabSize }, speculation ? 2 : undefined);
  const core = new EngineCore(backend, [EOS], { prefixCache: true, speculation });
  const crowd = Array.from({ length: numRequests }, (_, id) => {
    const { prompt, decoding: drawn } = randomRequest(dice, vocabSize, 20, 44);
    const stops = dice.chance(0.5) ? ["az", "é", " ba", "😊", "€", "a"].slice(dice.below(6)) : [];
    const stopStrings = { strings: stops.map((stop) => new TextEncoder().encode(stop)), tokens };
    const decoding = { ...drawn, ending: { ...drawn.ending, stopStrings } };
    const pieces: TextPiece[] = [];
    const includeStop = dice.chance(0.3);
    const options = { promptTokenIds: prompt, tokenizer, stops, includeStop, tellsTokens: dice.chance(0.5) };
    const text = new TextStream({ ...options, onPiece: (piece) => pieces.push(piece) });
    core.add({ id, promptTokenIds: prompt, decoding, client: id % 3, streams: true });
    return {
      pieces,
      text,
      options,
      decoding,
      early: 0,
      answers: [] as GeneratedSequence[],
      texts: [] as string[],
    };
  });
  while (!core.isIdle) {
    const result = core.step();
    core.stepTook(1, result); // Every pass takes equally long, so guessing always seems worth it.
    const { progress, finished } = result;
    for (const { id, sequences } of progress) crowd[id]?.text.push(sequences);
    for (const { request, hypotheses } of finished) {
      const one = crowd[request.id] as (typeof crowd)[number];
      one.early = one.pieces.length;
      one.answers = one.text.finish(hypotheses);
      one.texts = hypotheses.map((hypothesis) => expectedText(tokenizer, hypothesis, one.options));
    }
  }
  return crowd;
}

type Options = Pick<TextStreamOptions, "promptTokenIds" | "includeStop"> & {
  readonly stops: readonly string[];
};

/** The text by definition: bytes up to the stop string that ends first (the longest, if several do), wherever tokens end. */
function expectedText(
  tokenizer: Tokenizer,
  { tokenIds, stop }: Hypothesis,
  { promptTokenIds, stops, includeStop }: Options,
): string {
  const isTokenCut = stop?.kind === "token" && !includeStop;
  const bytesOf = (ids: readonly number[]): Buffer =>
    Buffer.concat(ids.filter((id) => id !== EOS).map((id) => tokenizer.tokenBytes(id) as Uint8Array));
  const prompt = bytesOf(promptTokenIds);
  let own = bytesOf(tokenIds.slice(promptTokenIds.length, isTokenCut ? -1 : undefined));
  if (stop?.kind === "string" && !includeStop) {
    const found = stops
      .map((text) => ({ begin: own.indexOf(text), length: Buffer.from(text).length }))
      .filter(({ begin }) => begin >= 0)
      .sort((a, b) => a.begin + a.length - (b.begin + b.length) || b.length - a.length);
    own = own.subarray(0, found[0]?.begin);
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.concat([prompt, own]));
}

function check(crowd: ReturnType<typeof stream>): void {
  for (const { pieces, texts, answers, options } of crowd) {
    const joined = texts.map((_, index) =>
      pieces
        .filter((piece) => piece.index === index)
        .map(({ text }) => text)
        .join(""),
    );
    assert.deepEqual(joined, texts);
    assert.deepEqual(
      answers.map(({ text }) => text),
      texts,
    );
    const { tellsTokens } = options;
    assert.ok(pieces.every(({ index, text }) => index < texts.length && (tellsTokens || text !== "")));
    if (!tellsTokens) continue;
    for (const [index, { tokens }] of answers.entries()) {
      const told = pieces.filter((piece) => piece.index === index).flatMap((piece) => piece.tokens);
      assert.deepEqual(told, tokens);
    }
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
