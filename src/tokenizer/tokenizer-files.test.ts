import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { GptError } from "../errors.ts";
import { packageRoot } from "../generator/model-directory.ts";
import { hasTokenizerFiles, loadTokenizer } from "./tokenizer-files.ts";

const SMALL = join(packageRoot(), "test", "fixtures", "tokenizer", "small", "tokenizer.json");
const TEXT = "the inner <|endoftext|> and on\n";

type Json = Record<string, unknown>;
interface SmallJson extends Json {
  model: { vocab: Record<string, number>; merges: [string, string][] } & Json;
  added_tokens: Json[];
  pre_tokenizer: Json;
}

/** The 300-token tokenizer.json of the fixtures, freshly parsed. */
function smallJson(): SmallJson {
  return JSON.parse(readFileSync(SMALL, "utf8")) as SmallJson;
}

/** The same tokenizer as the content of vocab.json and merges.txt. */
function smallPair(): { vocab: string; merges: string } {
  const { vocab, merges } = smallJson().model;
  const rules = merges.map(([left, right]) => `${left} ${right}\n`).join("");
  return { vocab: JSON.stringify(vocab), merges: `#version: 0.2\n${rules}` };
}

describe("loadTokenizer", () => {
  let root: string;
  let count = 0;
  let expected: number[];
  before(async () => {
    root = mkdtempSync(join(tmpdir(), "gpt2-api-tokenizer-"));
    expected = (await loadTokenizer(join(SMALL, ".."))).encode(TEXT);
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  /** A new directory with these files; values that are not strings are written as JSON. */
  const directoryOf = (files: Record<string, unknown>): string => {
    const directory = join(root, String(count++));
    mkdirSync(directory);
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(directory, name), typeof content === "string" ? content : JSON.stringify(content));
    }
    return directory;
  };
  const pairOf = (side: Record<string, unknown> = {}): string => {
    const { vocab, merges } = smallPair();
    return directoryOf({ "vocab.json": vocab, "merges.txt": merges, ...side });
  };
  const changedJson = (change: (json: SmallJson) => void, side: Record<string, unknown> = {}): string => {
    const json = smallJson();
    change(json);
    return directoryOf({ "tokenizer.json": json, ...side });
  };
  const refuses = async (directory: string, message: RegExp): Promise<void> => {
    await assert.rejects(loadTokenizer(directory), (error) => {
      assert.ok(error instanceof GptError, String(error));
      assert.equal(error.code, "invalid_tokenizer");
      assert.match(error.message, message);
      assert.ok(error.message.startsWith(directory), error.message);
      assert.match(error.message, /^[^\n]*$/);
      return true;
    });
  };

  describe("reads", () => {
    it("vocab.json and merges.txt, with and without version line, final newline and Windows line ends", async () => {
      const { vocab, merges } = smallPair();
      const bare = merges.replace("#version: 0.2\n", "");
      for (const form of [merges, bare, merges.trimEnd(), merges.replaceAll("\n", "\r\n"), `${merges}\n`]) {
        const tokenizer = await loadTokenizer(directoryOf({ "vocab.json": vocab, "merges.txt": form }));
        assert.deepEqual(tokenizer.encode(TEXT), expected);
        assert.equal(tokenizer.endOfTextId, 299);
        assert.equal(tokenizer.vocabSize, 300);
      }
    });

    it("encoder.json and vocab.bpe", async () => {
      const { vocab, merges } = smallPair();
      const tokenizer = await loadTokenizer(directoryOf({ "encoder.json": vocab, "vocab.bpe": merges }));
      assert.deepEqual(tokenizer.encode(TEXT), expected);
    });

    it("tokenizer.json with merges as strings, without a type, and with empty parts", async () => {
      const directories = [
        changedJson((json) => {
          (json.model as Json).merges = json.model.merges.map((pair) => pair.join(" "));
        }),
        changedJson((json) => {
          delete json.model.type;
        }),
        changedJson((json) => {
          json.normalizer = { type: "Sequence", normalizers: [] };
          json.pre_tokenizer = { type: "Sequence", pretokenizers: [json.pre_tokenizer] };
          Object.assign(json.model, { unk_token: "", continuing_subword_prefix: "", end_of_word_suffix: "" });
        }),
      ];
      for (const directory of directories) {
        assert.deepEqual((await loadTokenizer(directory)).encode(TEXT), expected);
      }
    });

    it("tokenizer.json before the pair of files", async () => {
      const directory = directoryOf({ "vocab.json": "{", "merges.txt": "" });
      cpSync(SMALL, join(directory, "tokenizer.json"));
      assert.deepEqual((await loadTokenizer(directory)).encode(TEXT), expected);
    });

    it("a merge rule that begins with a number sign", async () => {
      const { vocab, merges } = smallPair();
      const more = { ...(JSON.parse(vocab) as Json), "##": 300 };
      const directory = directoryOf({
        "vocab.json": more,
        "merges.txt": `# #\n${merges.split("\n").slice(1).join("\n")}`,
      });
      assert.deepEqual((await loadTokenizer(directory)).encode("##"), [300]);
    });

    it("added_tokens.json: parsed in text, not special unless another file says so", async () => {
      const added = { "<a>": 300, "<pad>": 301 };
      const plain = await loadTokenizer(pairOf({ "added_tokens.json": added }));
      assert.deepEqual(plain.encode("<a><pad>"), [300, 301]);
      assert.equal(plain.vocabSize, 302);
      assert.equal(plain.decode([300, 301], { skipSpecialTokens: true }), "<a><pad>");
      const map = { "special_tokens_map.json": { pad_token: "<pad>", cls_token: "<unheard of>" } };
      const special = await loadTokenizer(pairOf({ "added_tokens.json": added, ...map }));
      assert.equal(special.decode([300, 301], { skipSpecialTokens: true }), "<a>");
      assert.equal(special.encode("<unheard of>").length > 1, true);
    });

    it("special tokens by role, as strings, objects and lists, among the tokens of the vocabulary", async () => {
      const map = {
        bos_token: null,
        eos_token: { content: "Ġthe", lstrip: true, rstrip: false, single_word: false },
        additional_special_tokens: ["Ġa", { content: "in" }],
      };
      const { vocab } = smallJson().model;
      const tokenizer = await loadTokenizer(pairOf({ "special_tokens_map.json": map }));
      assert.equal(tokenizer.endOfTextId, vocab.Ġthe);
      for (const token of ["Ġthe", "Ġa", "in"]) assert.ok(tokenizer.isSpecial(vocab[token] as number), token);
      assert.deepEqual(tokenizer.encode("  Ġthe"), [vocab.Ġthe]);
    });

    it("extra special tokens under names, and not the letters of a string", async () => {
      const { vocab } = smallJson().model;
      const named = await loadTokenizer(
        pairOf({ "tokenizer_config.json": { extra_special_tokens: { image: "in" } } }),
      );
      assert.ok(named.isSpecial(vocab.in as number));
      const text = await loadTokenizer(
        pairOf({ "special_tokens_map.json": { additional_special_tokens: "in" } }),
      );
      assert.equal(text.isSpecial(vocab.i as number), false);
    });

    it("no end-of-text token when the files say that there is none", async () => {
      const tokenizer = await loadTokenizer(pairOf({ "tokenizer_config.json": { eos_token: null } }));
      assert.equal(tokenizer.endOfTextId, undefined);
    });

    it("added_tokens_decoder with flags, over those of added_tokens.json", async () => {
      const decoder = {
        300: { content: "<a>", special: true, rstrip: true },
        305: { content: "<b>", single_word: true },
      };
      const side = {
        "added_tokens.json": { "<a>": 300 },
        "tokenizer_config.json": { added_tokens_decoder: decoder },
      };
      const tokenizer = await loadTokenizer(pairOf(side));
      assert.deepEqual(tokenizer.encode("<a>   <b>"), [300, 305]);
      assert.equal(tokenizer.encode("x<b>").includes(305), false);
      assert.ok(tokenizer.isSpecial(300) && !tokenizer.isSpecial(305));
      assert.equal(tokenizer.vocabSize, 306);
      assert.equal(tokenizer.tokenBytes(303), undefined);
    });

    it("add_prefix_space: tokenizer_config.json for GPT-2's own class, tokenizer.json for every other", async () => {
      const json = smallJson();
      json.pre_tokenizer.add_prefix_space = true;
      const plain = await loadTokenizer(pairOf());
      const [prefixed, bare] = [plain.encode(" the"), plain.encode("the")];
      const cases: [
        tokenizer_class: string | undefined,
        add_prefix_space: boolean | undefined,
        ids: number[],
      ][] = [
        [undefined, undefined, bare],
        [undefined, true, prefixed],
        ["GPT2TokenizerFast", false, bare],
        ["PreTrainedTokenizerFast", undefined, prefixed],
        ["PreTrainedTokenizerFast", false, prefixed],
      ];
      for (const [tokenizer_class, add_prefix_space, ids] of cases) {
        const config = { tokenizer_class, add_prefix_space };
        const directory = directoryOf({ "tokenizer.json": json, "tokenizer_config.json": config });
        assert.deepEqual((await loadTokenizer(directory)).encode("the"), ids, JSON.stringify(config));
      }
    });
  });

  describe("refuses", () => {
    it("a directory without a tokenizer, or with half of a pair", async () => {
      const { vocab, merges } = smallPair();
      assert.equal(hasTokenizerFiles(directoryOf({ "config.json": {} })), false);
      await refuses(
        directoryOf({}),
        /holds no tokenizer; expected tokenizer\.json, or vocab\.json and merges\.txt/,
      );
      await refuses(join(root, "absent"), /holds no tokenizer/);
      await refuses(
        directoryOf({ "vocab.json": vocab }),
        /merges\.txt: is missing; expected it beside vocab\.json/,
      );
      await refuses(directoryOf({ "merges.txt": merges }), /vocab\.json: is missing/);
      await refuses(directoryOf({ "encoder.json": vocab }), /vocab\.bpe: is missing/);
      assert.equal(hasTokenizerFiles(directoryOf({ "merges.txt": merges })), true);
    });

    it("files that are cut off", async () => {
      const { vocab, merges } = smallPair();
      const json = JSON.stringify(smallJson());
      await refuses(
        directoryOf({ "tokenizer.json": json.slice(0, -100) }),
        /tokenizer\.json: is not JSON .*cut off/,
      );
      await refuses(pairOf({ "vocab.json": vocab.slice(0, 500) }), /vocab\.json: is not JSON/);
      await refuses(pairOf({ "merges.txt": "" }), /merges\.txt: has 0 merges for the 300 tokens .* about 43/);
      const lines = merges.split("\n");
      const middle = `${lines.slice(0, 30).join("\n")}\n${lines[30]?.split(" ")[0]}`;
      await refuses(
        pairOf({ "merges.txt": middle }),
        /merges\.txt: line 31 is ".*"; expected two tokens and one space/,
      );
    });

    it("files that are something else", async () => {
      await refuses(pairOf({ "vocab.json": [1, 2] }), /vocab\.json: is \[1,2\]; expected a JSON object/);
      await refuses(pairOf({ "vocab.json": {} }), /vocab\.json: holds no tokens/);
      await refuses(
        pairOf({ "vocab.json": { model_type: "gpt2" } }),
        /"model_type" has the id "gpt2"; expected an integer/,
      );
      await refuses(pairOf({ "vocab.json": { a: 1, b: 1 } }), /"a" and "b" have the same id 1/);
      for (const id of [-1, 1.5, 1e12])
        await refuses(pairOf({ "vocab.json": { a: id } }), /expected an integer in 0…/);
      await refuses(pairOf({ "merges.txt": "<html>\n" }), /line 1 is "<html>"/);
      await refuses(pairOf({ "merges.txt": "▁ t\n" }), /line 1 makes "▁t"; expected byte-level BPE/);
      await refuses(
        pairOf({ "merges.txt": "q q\n" }),
        /line 1 needs the token "qq", which .*vocab\.json lacks/,
      );
      const directory = directoryOf({});
      mkdirSync(join(directory, "tokenizer.json"));
      await refuses(directory, /tokenizer\.json: is not a regular file/);
    });

    it("a tokenizer.json of another kind", async () => {
      const cases: [(json: SmallJson) => void, RegExp][] = [
        [
          (j) => Object.assign(j, { model: { type: "Unigram", vocab: [["▁", -2]] } }),
          /"Unigram"; expected "BPE"/,
        ],
        [(j) => Object.assign(j.model, { type: "WordPiece" }), /"WordPiece"/],
        [(j) => Object.assign(j, { model: null }), /has no model/],
        [
          (j) => Object.assign(j, { pre_tokenizer: { type: "Metaspace" } }),
          /pre_tokenizer is of type "Metaspace"; expected one of ByteLevel, Digits/,
        ],
        [(j) => Object.assign(j, { pre_tokenizer: 5 }), /pre_tokenizer is 5; expected an object with a type/],
        [
          (j) =>
            Object.assign(j, {
              pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "BertPreTokenizer" }] },
            }),
          /pre_tokenizer\.pretokenizers\[0\] is of type "BertPreTokenizer"/,
        ],
        [
          (j) => Object.assign(j, { normalizer: { type: "Precompiled" } }),
          /normalizer is of type "Precompiled"/,
        ],
        [(j) => Object.assign(j, { decoder: { type: "WordPiece" } }), /decoder is of type "WordPiece"/],
        [(j) => Object.assign(j.model, { dropout: 0.1 }), /model\.dropout is 0\.1; expected none/],
        [(j) => Object.assign(j.model, { end_of_word_suffix: "</w>" }), /end_of_word_suffix is "<\/w>"/],
        [
          (j) =>
            Object.assign(j, {
              pre_tokenizer: { type: "Split", pattern: { Regex: "(a)\\1" }, behavior: "Isolated" },
            }),
          /pre_tokenizer\.pattern/,
        ],
        [(j) => Object.assign(j.model, { vocab: [] }), /no model\.vocab/],
        [(j) => Object.assign(j.model, { merges: {} }), /no model\.merges/],
        [(j) => j.model.merges.push(["a"] as unknown as [string, string]), /model\.merges\[43\] is \["a"\]/],
        [(j) => Object.assign(j, { added_tokens: {} }), /added_tokens is not an array/],
        [(j) => j.added_tokens.push({ id: 300 }), /has no content/],
      ];
      const general = { "tokenizer_config.json": { tokenizer_class: "PreTrainedTokenizerFast" } };
      for (const [change, message] of cases) await refuses(changedJson(change, general), message);
    });

    it("added tokens that contradict the vocabulary or each other", async () => {
      await refuses(
        pairOf({ "added_tokens.json": { "<a>": 65 } }),
        /added_tokens\.json: .*"<a>" has the id 65, which "A" has already/,
      );
      await refuses(
        pairOf({ "added_tokens.json": { "<|endoftext|>": 300 } }),
        /has the id 300, but elsewhere it has 299/,
      );
      await refuses(
        pairOf({ "added_tokens.json": { "<a>": "300" } }),
        /has the id "300"; expected an integer/,
      );
      const config = { added_tokens_decoder: { x: { content: "<a>" } } };
      await refuses(
        pairOf({ "tokenizer_config.json": config }),
        /tokenizer_config\.json: the token "<a>" has the id "x"/,
      );
      await refuses(pairOf({ "tokenizer_config.json": "{}}" }), /tokenizer_config\.json: is not JSON/);
    });
  });
});
