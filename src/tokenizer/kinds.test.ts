// Parts of tokenizer.json that are not GPT-2's own, with the ids and texts that Hugging Face's tokenizers make of them; and what
// every code point of Unicode is taken for. conformance/tokenizer/make_kinds.py wrote both files.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { packageRoot } from "../generator/model-directory.ts";
import { Detokenizer } from "./detokenizer.ts";
import { gpt2Pieces } from "./gpt2-pieces.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { loadTokenizer } from "./tokenizer-files.ts";
import { endlessWork } from "./work.ts";

const FIXTURES = join(packageRoot(), "test", "fixtures", "tokenizer");

interface Kind {
  readonly name: string;
  readonly change: Record<string, Record<string, unknown>>;
  readonly cases: readonly (readonly [text: string, ids: readonly number[], decoded: string])[];
}

const lines = readFileSync(join(FIXTURES, "kinds.jsonl"), "utf8").trimEnd().split("\n");
const kinds = lines.map((line) => JSON.parse(line) as Kind);
const base = JSON.parse(readFileSync(join(FIXTURES, "small", "tokenizer.json"), "utf8"));
const directory = mkdtempSync(join(tmpdir(), "gpt2-api-kinds-"));
after(() => rmSync(directory, { recursive: true, force: true }));

function load({ model, ...change }: Kind["change"]): Promise<Tokenizer> {
  const file = { ...base, ...change, model: { ...base.model, ...model } };
  writeFileSync(join(directory, "tokenizer.json"), JSON.stringify(file));
  writeFileSync(join(directory, "tokenizer_config.json"), '{"tokenizer_class": "PreTrainedTokenizerFast"}');
  return loadTokenizer(directory);
}

describe("a tokenizer.json with", () => {
  for (const { name, change, cases } of kinds) {
    it(name, async () => {
      const tokenizer = await load(change);
      for (const [text, ids, decoded] of cases) {
        const what = JSON.stringify(text);
        assert.deepEqual(tokenizer.encode(text), ids, what);
        assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), decoded, what);
        const stream = new Detokenizer(tokenizer, { skipSpecialTokens: true });
        assert.equal(ids.map((id) => stream.push(id)).join("") + stream.flush(), decoded, what);
      }
    });
  }

  it("any of these encodes in steps what it encodes at once, however small the steps", async () => {
    for (const { change, cases } of kinds) {
      const tokenizer = await load(change);
      for (const share of [1, 50, 1000]) {
        for (const [text] of cases) {
          const long = text.repeat(40);
          const work = { left: share };
          const steps = tokenizer.encodeInSteps(long, work);
          let result = steps.next();
          let numStops = 0;
          for (; !result.done; result = steps.next()) {
            work.left = share;
            numStops++;
          }
          assert.deepEqual(result.value, tokenizer.encode(long));
          if (share === 1 && text.length > 10) assert.ok(numStops > 0);
        }
      }
    }
  });
});

it("every code point is a letter, a number, white space or something else, as it is for Hugging Face's tokenizers", () => {
  const kindOf = (code: number): string => {
    if (code >= 0xd800 && code < 0xe000) return "-";
    const char = String.fromCodePoint(code);
    const pieces = (text: string): readonly (string | undefined)[] => [...gpt2Pieces(text, endlessWork())];
    const cut = pieces(`a${char}1`);
    if (cut[0] === `a${char}`) return "L";
    if (cut[1] === `${char}1`) return "N";
    // White space before something else is cut before its last character.
    return pieces(`!${char}${char}?`).length === 4 ? "S" : "O";
  };
  const text = Array.from({ length: 0x110000 }, (_, code) => kindOf(code)).join("");
  const counts = Object.fromEntries([..."LNSO"].map((kind) => [kind, text.split(kind).length - 1]));
  const expected = JSON.parse(readFileSync(join(FIXTURES, "code-points.json"), "utf8"));
  assert.deepEqual(counts, expected.counts);
  assert.equal(createHash("sha256").update(text).digest("hex"), expected.sha256);
});
