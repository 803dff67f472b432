import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { packageRoot } from "../generator/model-directory.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { loadTokenizer } from "./tokenizer-files.ts";

const FIXTURES = join(packageRoot(), "test", "fixtures", "tokenizer");

interface GoldenCase {
  readonly text: string;
  readonly ids: number[];
  /** Without special tokens. */
  readonly decoded?: string;
}

function readCases(file: string): GoldenCase[] {
  const lines = readFileSync(join(FIXTURES, file), "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as GoldenCase);
}

/** Texts whose ids are published with GPT-2's tokenizers. */
const PUBLISHED: readonly [string, readonly number[]][] = [
  ["Hello world", [15496, 995]],
  [" Hello world", [18435, 995]],
  ["A\n'll !!to?'d''d of, can't.", [32, 198, 1183, 37867, 1462, 8348, 67, 7061, 67, 286, 11, 460, 470, 13]],
  ["trailing space   ", [9535, 4386, 2272, 220, 220, 220]],
  ["   leading space", [220, 220, 3756, 2272]],
  ["This\n\nis\na\ntest.", [1212, 198, 198, 271, 198, 64, 198, 9288, 13]],
  ["1\x002\ufffd3", [16, 188, 17, 4210, 18]],
  ["you…\u00a0\u00a0", [5832, 1399, 4603]],
  ["\n\n", [628]],
  ["\n\nx", [198, 198, 87]],
  ["   ", [220, 220, 220]],
  ["😊", [47249, 232]],
  [
    "This is a test 😊\nI was born in 92000,",
    [1212, 318, 257, 1332, 30325, 232, 198, 40, 373, 4642, 287, 10190, 830, 11],
  ],
  ["", []],
];

describe("GPT-2's tokenizer", () => {
  let tokenizer: Tokenizer;
  before(async () => {
    tokenizer = await loadTokenizer(join(packageRoot(), "models", "tiny"));
  });

  it("has GPT-2's vocabulary", () => {
    assert.equal(tokenizer.vocabSize, 50257);
    assert.equal(tokenizer.endOfTextId, 50256);
    assert.equal(tokenizer.isSpecial(50256), true);
    assert.equal(tokenizer.isSpecial(50255), false);
  });

  it("gives the published ids", () => {
    for (const [text, ids] of PUBLISHED) {
      assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
      assert.equal(tokenizer.decode(ids), text);
    }
  });

  it("gives the golden ids of 489 strings, and the strings back", () => {
    const cases = readCases("gpt2.jsonl");
    assert.equal(cases.length, 489);
    for (const { text, ids } of cases) {
      assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
      assert.equal(tokenizer.decode(ids), text);
    }
  });

  it("gives the same ids for the strings joined by end-of-text tokens", () => {
    const cases = readCases("gpt2.jsonl");
    const ids = tokenizer.encode(cases.map(({ text }) => text).join("<|endoftext|>"));
    assert.deepEqual(ids, cases.flatMap((c) => [50256, ...c.ids]).slice(1));
  });

  it("parses <|endoftext|> in text and leaves it out on request", () => {
    const ids = tokenizer.encode("a <|endoftext|> b");
    assert.deepEqual(ids, [64, 220, 50256, 275]);
    assert.equal(tokenizer.decode(ids), "a <|endoftext|> b");
    assert.equal(tokenizer.decode(ids, { skipSpecialTokens: false }), "a <|endoftext|> b");
    assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), "a  b");
  });

  it("replaces lone surrogates by U+FFFD and keeps pairs", () => {
    for (const text of ["a\ud800b", "\udc00", "\ud83d", "x\ude0a\ud83dy"]) {
      const replaced = text.replace(/[\ud800-\udfff]/g, "\ufffd");
      assert.deepEqual(tokenizer.encode(text), tokenizer.encode(replaced));
    }
    assert.deepEqual(tokenizer.encode("\ud83d\ude0a"), [47249, 232]);
  });

  it("keeps U+FEFF, which is no whitespace, at the start too", () => {
    const ids = tokenizer.encode("\ufeff\ufeffa");
    assert.equal(tokenizer.decode(ids), "\ufeff\ufeffa");
    assert.deepEqual(tokenizer.tokenBytes(ids[0] as number)?.[0], 0xef);
  });

  it("decodes ill-formed bytes to one U+FFFD for each maximal part, over token borders", () => {
    const idOf = (byte: number): number =>
      Array.from({ length: 256 }, (_, id) => id).find(
        (id) => tokenizer.tokenBytes(id)?.[0] === byte,
      ) as number;
    const decodeBytes = (...bytes: number[]): string => tokenizer.decode(bytes.map(idOf));
    assert.equal(decodeBytes(0xf0, 0x9f, 0x98, 0x8a), "😊");
    assert.equal(decodeBytes(0xf0, 0x9f, 0x98), "\ufffd");
    assert.equal(decodeBytes(0xe0, 0x80, 0x41), "\ufffd\ufffdA");
    assert.equal(decodeBytes(0x80, 0x80, 0xc3, 0x41, 0xff), "\ufffd\ufffd\ufffdA\ufffd");
    const parted = [0xf0, 0x9f].map(idOf).concat(50256, [0x98, 0x8a].map(idOf));
    assert.equal(tokenizer.decode(parted, { skipSpecialTokens: true }), "😊");
    assert.equal(tokenizer.decode(parted), "\ufffd<|endoftext|>\ufffd\ufffd");
  });

  it("decodes ids without a token to nothing", () => {
    assert.equal(tokenizer.decode([15496, 50257, 60000, -1, 995]), "Hello world");
    assert.equal(tokenizer.tokenBytes(50257), undefined);
    assert.equal(tokenizer.isSpecial(50257), false);
  });

  it("knows without encoding that some texts are too long, and is never wrong about it", () => {
    for (const text of ["", "Hello", "😊 the the", "-".repeat(1000), "a".repeat(1000), " ".repeat(1000)]) {
      assert.ok(!tokenizer.surelyExceeds(text, tokenizer.encode(text).length), text);
    }
    assert.ok(tokenizer.surelyExceeds("Hello", 0));
    assert.ok(tokenizer.surelyExceeds("😊".repeat(1000), 200));
    assert.ok(tokenizer.surelyExceeds("x".repeat(6e6), 6e6 / 128));
  });

  it("gives the bytes of tokens", () => {
    assert.deepEqual([...(tokenizer.tokenBytes(995) as Uint8Array)], [...new TextEncoder().encode(" world")]);
    assert.deepEqual([...(tokenizer.tokenBytes(232) as Uint8Array)], [0x8a]);
    assert.equal(new TextDecoder().decode(tokenizer.tokenBytes(50256)), "<|endoftext|>");
  });

  it("encodes long runs without a break", () => {
    for (const text of ["a".repeat(300_000), " ".repeat(300_000), "日".repeat(100_000)]) {
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }
    assert.equal(tokenizer.encode(" ".repeat(300_000)).length, 300_000);
  });
});

describe("other vocabularies, as Hugging Face's tokenizers wrote and used them", () => {
  const names = ["small", "added-tokens", "prefix-space", "missing-bytes", "unknown", "fused-unknown"];
  for (const name of names) {
    it(name, async () => {
      const tokenizer = await loadTokenizer(join(FIXTURES, name));
      for (const { text, ids, decoded } of readCases(`${name}/cases.jsonl`)) {
        assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
        assert.ok(!tokenizer.surelyExceeds(text, ids.length), JSON.stringify(text));
        // The reference reads added tokens through the byte table, which spoils those that are not ASCII.
        const withoutSpaces = (string: string): string => string.replaceAll(" ", "");
        if (/日本/.test(text)) assert.equal(withoutSpaces(tokenizer.decode(ids)), withoutSpaces(text));
        else assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), decoded, JSON.stringify(text));
      }
    });
  }
});
