// The edges of the parameters and of the input: what docs/edge-cases.md says happens, happens.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { parseGenerationParams } from "../../src/params.ts";
import type { Generation } from "../../src/service/generation.ts";
import { packageRoot } from "../../src/service/model-directory.ts";
import type { TextGenerator } from "../../src/service/text-generator.ts";
import { loadTokenizer } from "../../src/tokenizer/tokenizer-files.ts";
import { temporaryDirectory } from "../support/checkpoints.ts";
import { makeGenerator } from "../support/inline-generator.ts";

const END = 50256;
const directory = temporaryDirectory();
const tokenizer = await loadTokenizer(join(packageRoot(), "models/tiny"));
/** GPT-2's vocabulary and 32 positions. */
const words = makeGenerator(
  join(directory.path, "words"),
  { seed: 7, V: 50257, P: 32, C: 8, L: 1 },
  tokenizer,
);
/** 13 tokens and 32 positions. */
const digits = makeGenerator(join(directory.path, "digits"), { seed: 3, V: 13, P: 32 });
/** One token. */
const mono = makeGenerator(join(directory.path, "mono"), {
  seed: 3,
  V: 1,
  P: 8,
  config: { eos_token_id: 5 },
});
after(async () => {
  for (const generator of [words, digits, mono]) await generator.close();
  directory.remove();
});

function ask(generator: TextGenerator, request: object): Promise<Generation> {
  const { contextLength } = generator.model;
  const options = { contextLength, randomSeed: () => 1, allowTokenIds: true };
  const preset = {
    num_return_sequences: 1,
    max_length: Math.min(12, contextLength),
    seed: 1,
    mode: "greedy",
  };
  return generator.generate(parseGenerationParams({ ...preset, ...request }, options));
}

const idsOf = ({ sequences }: Generation): number[][] => sequences.map(({ tokenIds }) => [...tokenIds]);
const newIds = (generation: Generation): number[][] =>
  idsOf(generation).map((ids) => ids.slice(generation.promptTokens));

const MODES = ["sample-top-p", "sample-top-k", "sample", "beam", "greedy"];

describe("the input", () => {
  for (const mode of MODES) {
    it(`empty, or <|endoftext|> alone, starts a text from the end-of-text token: ${mode}`, async () => {
      const empty = await ask(words, { input: "", mode });
      const special = await ask(words, { input: "<|endoftext|>", mode });
      assert.deepEqual(empty, special);
      assert.equal(empty.promptTokens, 1);
      assert.equal(empty.sequences[0]?.tokenIds[0], END);
      assert.ok(!empty.sequences[0]?.text.includes("endoftext"));
    });

    it(`with an end-of-text token in it goes on after it: ${mode}`, async () => {
      const prompt_token_ids = [...tokenizer.encode("One"), END, ...tokenizer.encode(" two")];
      const [sequence] = (await ask(words, { input: "One<|endoftext|> two", mode })).sequences;
      assert.deepEqual(sequence?.tokenIds.slice(0, prompt_token_ids.length), prompt_token_ids);
      assert.ok((sequence?.tokenIds.length ?? 0) > prompt_token_ids.length);
      assert.ok(sequence?.text.startsWith("One two"), sequence?.text);
    });
  }

  it("is repeated in the answer, whatever characters it holds", async () => {
    for (const input of [
      "a\0b",
      "\ufeffBOM",
      "\ufeff",
      "\u0085\u2028",
      " ",
      "  x  ",
      "\r\n",
      "e\u0301 👩‍👩‍👧 \u{10ffff}",
    ]) {
      const { sequences } = await ask(words, { input, max_length: 31 });
      assert.ok(sequences[0]?.text.startsWith(input), JSON.stringify(input));
    }
  });

  it("has U+FFFD in place of a lone surrogate", async () => {
    for (const input of ["a\ud800b", "a\udc00b"]) {
      const { sequences } = await ask(words, { input });
      assert.ok(sequences[0]?.text.startsWith("a\ufffdb"));
    }
    assert.deepEqual(
      await ask(words, { input: "\udc00\ud800" }),
      await ask(words, { input: "\ufffd\ufffd" }),
    );
  });

  it("of a megabyte of spaces is too long, like any other", async () => {
    await assert.rejects(ask(words, { input: " ".repeat(2 ** 20) }), { code: "prompt_too_long" });
  });
});

describe("lengths", () => {
  const prompt = (length: number) => ({ prompt_token_ids: new Array(length).fill(4) });

  for (const mode of MODES) {
    it(`a prompt of n_positions − 1 tokens gets one more: ${mode}`, async () => {
      for (const limit of [{ max_length: 32 }, { max_length: undefined, max_new_tokens: 1 }]) {
        const generation = await ask(digits, { ...prompt(31), ...limit, mode });
        assert.equal(generation.sequences[0]?.tokenIds.length, 32);
        assert.equal(generation.generatedTokens, 1);
      }
    });

    it(`a prompt of max_length tokens or more is refused: ${mode}`, async () => {
      const refused = { code: "prompt_too_long" };
      await assert.rejects(ask(digits, { ...prompt(32), max_length: 32, mode }), refused);
      await assert.rejects(ask(digits, { ...prompt(5), max_length: 5, mode }), refused);
      await assert.rejects(ask(digits, { ...prompt(40), max_length: 5, mode }), refused);
      await assert.rejects(
        ask(digits, { ...prompt(31), max_length: undefined, max_new_tokens: 2, mode }),
        refused,
      );
    });
  }

  it("max_length may be n_positions and not more", async () => {
    const { sequences } = await ask(mono, { ...prompt(0), prompt_token_ids: [0], max_length: 8 });
    assert.equal(sequences[0]?.tokenIds.length, 8);
    await assert.rejects(async () => ask(mono, { prompt_token_ids: [0], max_length: 9 }), {
      code: "invalid_field",
    });
  });
});

describe("filters", () => {
  const request = { prompt_token_ids: [1, 2, 3], num_return_sequences: 4, max_length: 20 };
  const sample = (changes: object) => ask(digits, { ...request, mode: "sample", ...changes });
  const greedy = () => ask(digits, request);

  it("top_k above the vocabulary is none", async () => {
    for (const top_k of [13, 14, 1e15]) assert.deepEqual(await sample({ top_k }), await sample({ top_k: 0 }));
  });

  it("top_k 1, a tiny top_p and a tiny temperature are greedy", async () => {
    const expected = idsOf(await greedy());
    const tiny = [
      { top_k: 1 },
      { top_p: 0 },
      { top_p: 1e-12 },
      { temperature: 1e-3 },
      { temperature: 5e-324 },
    ];
    for (const changes of tiny)
      assert.deepEqual(idsOf(await sample(changes)), expected, JSON.stringify(changes));
  });

  it("temperature 100 and above is next to uniform", async () => {
    for (const temperature of [100, 1e300]) {
      const filters = { temperature, top_k: 0, top_p: 1, max_length: 4, num_return_sequences: 64 };
      const drawn = new Set(newIds(await sample(filters)).flat());
      assert.ok(drawn.size >= 12, `${drawn.size} of 13 tokens came`);
    }
  });

  it("that leave one token draw that one", async () => {
    const ban = {
      no_repeat_ngram_size: 1,
      prompt_token_ids: [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12],
      max_length: 13,
    };
    for (const mode of MODES.filter((name) => name !== "beam")) {
      assert.deepEqual(newIds(await ask(digits, { ...ban, mode, num_return_sequences: 2 })), [[5], [5]]);
    }
    assert.deepEqual(newIds(await ask(digits, { ...ban, mode: "beam" })), [[5]]);
  });

  it("of a vocabulary of one token leave that one", async () => {
    const one = { prompt_token_ids: [0], max_length: 4, num_return_sequences: 2 };
    for (const mode of MODES) {
      assert.deepEqual(idsOf(await ask(mono, { ...one, mode, num_beams: 2, no_repeat_ngram_size: 0 })), [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ]);
    }
  });
});

describe("everything banned", () => {
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
  const ban = { no_repeat_ngram_size: 1, max_length: 16, num_return_sequences: 2 };

  for (const mode of MODES.filter((name) => name !== "beam")) {
    it(`gives token 0: ${mode}`, async () => {
      assert.deepEqual(newIds(await ask(digits, { ...ban, prompt_token_ids: all, mode })), [
        [0, 0, 0],
        [0, 0, 0],
      ]);
    });
  }

  it("ends a beam as it stands", async () => {
    const { sequences, generatedTokens } = await ask(digits, { ...ban, prompt_token_ids: all, mode: "beam" });
    assert.deepEqual(sequences, [
      { text: "", tokenIds: all, finishReason: "length" },
      { text: "", tokenIds: all, finishReason: "length" },
    ]);
    assert.equal(generatedTokens, 0);
  });

  it("lets beams that can still end a text do so", async () => {
    // Token 12 ends a text. It and token 11 are all that is left: one beam ends at once, the other uses both up.
    const { sequences } = await ask(digits, {
      ...ban,
      prompt_token_ids: all.slice(0, 11),
      mode: "beam",
      num_beams: 2,
    });
    assert.deepEqual(
      sequences.map(({ tokenIds, finishReason }) => [tokenIds.slice(11), finishReason]),
      [
        [[12], "stop"],
        [[11, 12], "stop"],
      ],
    );
    for (const { score } of sequences) assert.ok(score !== undefined && Number.isFinite(score));
  });
});

describe("more beams than tokens", () => {
  it("are the best continuations there are, in order", async () => {
    const request = { prompt_token_ids: [1, 2], mode: "beam", num_beams: 20, no_repeat_ngram_size: 0 };
    const { sequences } = await ask(digits, { ...request, max_length: 4, num_return_sequences: 20 });
    assert.equal(new Set(sequences.map(({ tokenIds }) => tokenIds.join())).size, 20);
    const scores = sequences.map(({ score }) => score as number);
    assert.deepEqual(
      scores,
      scores.toSorted((a, b) => b - a),
    );
    assert.ok((scores.at(-1) as number) > -1000);
  });

  it("repeat the best ones where there are no more", async () => {
    const request = { prompt_token_ids: [1, 2], mode: "beam", num_beams: 20, no_repeat_ngram_size: 0 };
    const generation = await ask(digits, { ...request, max_length: 3, num_return_sequences: 20 });
    const tokens = newIds(generation).flat();
    assert.equal(new Set(tokens.slice(0, 13)).size, 13);
    assert.deepEqual(tokens.slice(13), tokens.slice(0, 7));
    assert.ok(generation.sequences.slice(13).every(({ score }) => (score as number) < -1e8));
  });
});
