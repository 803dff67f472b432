// Extreme values of the parameters: every line of the table in edges.ts has a test that shows that it is true.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { packageRoot } from "../../src/generator/model-directory.ts";
import type { TextGenerator } from "../../src/generator/text-generator.ts";
import type { Generation } from "../../src/request/generation.ts";
import { parseGenerationParams } from "../../src/request/params.ts";
import { loadTokenizer } from "../../src/tokenizer/tokenizer-files.ts";
import { type CheckpointOptions, temporaryDirectory } from "../support/checkpoints.ts";
import { makeGenerator } from "../support/inline-generator.ts";
import type { EDGES } from "./edges.ts";

const END = 50256;
const MODES = ["sample-top-p", "sample-top-k", "sample", "beam", "greedy"];
const SAMPLED = MODES.slice(0, 3);
const directory = temporaryDirectory();
const folder = (name: string): string => join(directory.path, name);
const tokenizer = await loadTokenizer(join(packageRoot(), "models/tiny"));

/** A model with GPT-2's vocabulary and 32 positions. */
const words = makeGenerator(folder("words"), { seed: 7, V: 50257, P: 32, C: 8, L: 1 }, tokenizer);
/** A model with 13 tokens and 32 positions. */
const small: CheckpointOptions = { seed: 3, V: 13, P: 32 };
const digits = makeGenerator(folder("digits"), small);
/** A model with one token, and another token as the end of text. */
const mono = makeGenerator(folder("mono"), { seed: 3, V: 1, P: 8, config: { eos_token_id: 5 } });
/** A model for which all tokens are equally likely, and none ends a text. */
const flat = makeGenerator(folder("flat"), { ...small, ws: 0, config: { eos_token_id: null } });
/** A model with three end-of-text tokens, one of which is outside the vocabulary. */
const terse = makeGenerator(folder("terse"), { ...small, config: { eos_token_id: [3, 20, 7] } });
mkdirSync(folder("overruled"));
writeFileSync(join(folder("overruled"), "generation_config.json"), '{"eos_token_id": [3, 7]}');
const overruled = makeGenerator(folder("overruled"), small);
after(async () => {
  for (const generator of [words, digits, mono, flat, terse, overruled]) await generator.close();
  directory.remove();
});

function ask(generator: TextGenerator, request: object): Promise<Generation> {
  const { contextLength } = generator.model;
  const options = { contextLength, randomSeed: () => 77, allowTokenIds: true };
  const preset = {
    num_return_sequences: 1,
    max_length: Math.min(12, contextLength),
    seed: 1,
    mode: "greedy",
  };
  return generator.generate(parseGenerationParams({ ...preset, ...request }, options));
}

/** Asserts that a request is refused, before or after its fields were read. */
function refuses(generator: TextGenerator, request: object, code: string, message = /./): Promise<void> {
  return assert.rejects(async () => ask(generator, request), { code, message });
}

const idsOf = ({ sequences }: Generation): number[][] => sequences.map(({ tokenIds }) => [...tokenIds]);
const newIds = (generation: Generation): number[][] =>
  idsOf(generation).map((ids) => ids.slice(generation.promptTokens));
const prompt = (length: number) => ({ prompt_token_ids: new Array(length).fill(4) });

async function forModes(modes: readonly string[], test: (mode: string) => Promise<void>): Promise<void> {
  for (const mode of modes) await test(mode);
}

/** The set of tokens that occur when 64 sequences draw one token each. */
async function drawn(generator: TextGenerator, filters: object): Promise<number[]> {
  const request = { mode: "sample", temperature: 1, top_k: 0, top_p: 1, ...filters };
  const shape = { prompt_token_ids: [1, 2, 3], max_length: 4, num_return_sequences: 64 };
  return [...new Set(newIds(await ask(generator, { ...shape, ...request })).flat())].sort((a, b) => a - b);
}

const sampleOf = { prompt_token_ids: [1, 2, 3], num_return_sequences: 4, max_length: 20 };

/** Asserts that sampling with these filters gives the result of greedy search. */
async function assertGreedy(...filters: object[]): Promise<void> {
  const expected = idsOf(await ask(digits, sampleOf));
  for (const filter of filters) {
    const generation = await ask(digits, { ...sampleOf, mode: "sample", ...filter });
    assert.deepEqual(idsOf(generation), expected, JSON.stringify(filter));
  }
}

/** Asserts that sampling with these filters is the same as without. */
async function assertUnfiltered(...filters: object[]): Promise<void> {
  const request = { ...sampleOf, mode: "sample", top_k: 0, top_p: 1 };
  const expected = idsOf(await ask(digits, request));
  for (const filter of filters) {
    assert.deepEqual(idsOf(await ask(digits, { ...request, ...filter })), expected, JSON.stringify(filter));
  }
}

const ALL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const ban = { no_repeat_ngram_size: 1, max_length: 16, num_return_sequences: 2 };

const TESTS: {
  [P in keyof typeof EDGES]: { [Edge in keyof (typeof EDGES)[P]]: () => Promise<void> };
} = {
  input: {
    empty: () =>
      forModes(MODES, async (mode) => {
        const empty = await ask(words, { input: "", mode });
        assert.equal(empty.promptTokens, 1);
        assert.equal(empty.sequences[0]?.tokenIds[0], END);
        assert.ok(!empty.sequences[0]?.text.includes("endoftext"));
      }),
    "`<|endoftext|>`": () =>
      forModes(MODES, async (mode) => {
        const special = await ask(words, { input: "<|endoftext|>", mode });
        assert.deepEqual(special, await ask(words, { input: "", mode }));
      }),
    "`One<|endoftext|> two`": () =>
      forModes(MODES, async (mode) => {
        const ids = [...tokenizer.encode("One"), END, ...tokenizer.encode(" two")];
        const [sequence] = (await ask(words, { input: "One<|endoftext|> two", mode })).sequences;
        assert.deepEqual(sequence?.tokenIds.slice(0, ids.length), ids);
        assert.ok((sequence?.tokenIds.length ?? 0) > ids.length);
        assert.ok(sequence?.text.startsWith("One two"), sequence?.text);
      }),
    "with U+0000, U+FEFF, U+0085, unassigned characters, any line ends": async () => {
      const odd = ["a\0b", "\0", "\ufeffBOM", "\ufeff", "\u0085\u2028", " ", "  x  ", "\r\n\n\r"];
      for (const input of [...odd, "e\u0301 👩‍👩‍👧 \u{10ffff}\u0378"]) {
        const { sequences } = await ask(words, { input, max_length: 31 });
        assert.ok(sequences[0]?.text.startsWith(input), JSON.stringify(input));
      }
    },
    'with a surrogate that lacks its other half, as in `"\\ud800"`': async () => {
      for (const input of ["a\ud800b", "a\udc00b"]) {
        const { sequences } = await ask(words, { input });
        assert.ok(sequences[0]?.text.startsWith("a\ufffdb"));
      }
      const reversed = await ask(words, { input: "\udc00\ud800" });
      assert.deepEqual(reversed, await ask(words, { input: "\ufffd\ufffd" }));
    },
    "longer than the context, be it a megabyte of spaces": async () => {
      await refuses(words, { input: " ".repeat(2 ** 20) }, "prompt_too_long");
      await refuses(words, { input: "one ".repeat(32), max_length: 32 }, "prompt_too_long");
    },
  },
  max_length: {
    "`n_positions`": () =>
      forModes(MODES, async (mode) => {
        const request = { ...prompt(3), mode, num_beams: 2 };
        const { sequences } = await ask(flat, { ...request, max_length: 32 });
        assert.equal(sequences[0]?.tokenIds.length, 32);
        await refuses(flat, { ...request, max_length: 33 }, "invalid_field");
      }),
    "the prompt's tokens, or fewer": () =>
      forModes(MODES, async (mode) => {
        const code = "prompt_too_long";
        await refuses(digits, { ...prompt(5), max_length: 5, mode }, code, /has 5 tokens .* is 5:/);
        await refuses(digits, { ...prompt(40), max_length: 5, mode }, code, /has 40 tokens .* is 5:/);
        await refuses(digits, { ...prompt(32), max_length: 32, mode }, code);
      }),
    "one more than the prompt's tokens, be they `n_positions` − 1": () =>
      forModes(MODES, async (mode) => {
        for (const limit of [{ max_length: 32 }, { max_length: undefined, max_new_tokens: 1 }]) {
          const generation = await ask(digits, { ...prompt(31), ...limit, mode });
          assert.equal(generation.sequences[0]?.tokenIds.length, 32);
          assert.equal(generation.generatedTokens, 1);
        }
      }),
    "of a model with several end-of-text tokens": () => endsAt(terse, [3, 7]),
    "of a model whose end-of-text token lies outside the vocabulary, or that has none": () =>
      forModes(MODES, async (mode) => {
        const request = { prompt_token_ids: [0], max_length: 8, no_repeat_ngram_size: 0, mode };
        for (const model of [mono, flat]) {
          const [sequence] = (await ask(model, request)).sequences;
          assert.equal(sequence?.tokenIds.length, 8);
          assert.equal(sequence?.finishReason, "length");
        }
      }),
    "of a model with a `generation_config.json`": () => endsAt(overruled, [3, 7]),
  },
  max_new_tokens: {
    "more than fit after the prompt into `n_positions`": () =>
      forModes(MODES, (mode) => {
        const request = { ...prompt(31), max_length: undefined, max_new_tokens: 2, mode };
        return refuses(digits, request, "prompt_too_long");
      }),
    "0": async () => {
      const { sequences, promptTokens } = await ask(words, {
        input: "One two",
        max_new_tokens: 0,
        max_length: undefined,
      });
      assert.deepEqual([sequences[0]?.text, sequences[0]?.tokenIds.length], ["One two", promptTokens]);
    },
    "beside `max_length`": () =>
      refuses(digits, { ...prompt(3), max_length: 9, max_new_tokens: 2 }, "invalid_field"),
  },
  num_return_sequences: {
    "in `greedy`": async () => {
      const generation = await ask(digits, { ...prompt(3), num_return_sequences: 3 });
      const [first] = idsOf(generation);
      assert.deepEqual(idsOf(generation), [first, first, first]);
      assert.equal(generation.generatedTokens, (first?.length ?? 0) - 3);
    },
    "above `num_beams` in `beam`": async () => {
      const request = { ...prompt(3), mode: "beam", num_beams: 2 };
      await refuses(digits, { ...request, num_return_sequences: 3 }, "invalid_field");
      await refuses(digits, { ...request, num_return_sequences: undefined }, "invalid_field", /the default/);
    },
  },
  mode: {
    "any, with a vocabulary of one token": () =>
      forModes(MODES, async (mode) => {
        const request = { prompt_token_ids: [0], max_length: 4, num_return_sequences: 2, num_beams: 2 };
        const four = [0, 0, 0, 0];
        assert.deepEqual(idsOf(await ask(mono, { ...request, mode, no_repeat_ngram_size: 0 })), [four, four]);
      }),
    "any, with one token left by filters or bans": () =>
      forModes(MODES, async (mode) => {
        const request = { no_repeat_ngram_size: 1, prompt_token_ids: ALL.filter((id) => id !== 5) };
        assert.deepEqual(newIds(await ask(digits, { ...request, max_length: 13, mode })), [[5]]);
      }),
  },
  top_p: {
    "0, or less than the largest probability": () => assertGreedy({ top_p: 0 }, { top_p: 1e-12 }),
    "with tokens of equal probability at its edge": async () => {
      assert.deepEqual(await drawn(flat, { top_p: 0.5 }), [0, 1, 2, 3, 4, 5, 6]);
      assert.deepEqual(await drawn(flat, { top_p: 0 }), [0]);
    },
    "1": () => assertUnfiltered({ top_p: 1 }),
  },
  top_k: {
    "1": () => assertGreedy({ top_k: 1 }),
    "above the vocabulary": () => assertUnfiltered({ top_k: 13 }, { top_k: 14 }, { top_k: 1e15 }),
    "with tokens of equal probability at the k-th place": async () =>
      assert.deepEqual(await drawn(flat, { top_k: 2 }), ALL),
  },
  temperature: {
    "1e-3, or anything down to the smallest number above 0": () =>
      assertGreedy({ temperature: 1e-3 }, { temperature: 5e-324 }),
    "0": () => forModes(MODES, (mode) => refuses(digits, { mode, temperature: 0 }, "invalid_field")),
    "100 and above": async () => {
      for (const temperature of [100, 1e300]) {
        assert.ok((await drawn(digits, { temperature })).length >= 12, `temperature ${temperature}`);
      }
      assert.equal((await drawn(digits, { temperature: 100, top_k: 2 })).length, 2);
      const ban = { temperature: 1e300, no_repeat_ngram_size: 1, top_k: 13 };
      assert.equal((await drawn(digits, ban)).length, 10);
    },
  },
  num_beams: {
    "1": async () => {
      const request = { ...prompt(3), no_repeat_ngram_size: 2 };
      const beam = await ask(digits, { ...request, mode: "beam", num_beams: 1 });
      assert.deepEqual(beam.sequences, (await ask(digits, request)).sequences);
      assert.equal(beam.sequences[0]?.score, undefined);
    },
    "above the vocabulary": async () => {
      const request = { prompt_token_ids: [1, 2], mode: "beam", num_beams: 20, no_repeat_ngram_size: 0 };
      const two = await ask(digits, { ...request, max_length: 4, num_return_sequences: 20 });
      assert.equal(new Set(idsOf(two).map(String)).size, 20);
      const scores = two.sequences.map(({ score }) => score as number);
      assert.deepEqual(
        scores,
        scores.toSorted((a, b) => b - a),
      );
      assert.ok((scores.at(-1) as number) > -1000);

      const one = await ask(digits, { ...request, max_length: 3, num_return_sequences: 20 });
      const tokens = newIds(one).flat();
      assert.equal(new Set(tokens.slice(0, 13)).size, 13);
      assert.deepEqual(tokens.slice(13), tokens.slice(0, 7));
      assert.ok(one.sequences.slice(13).every(({ score }) => (score as number) < -1e8));
    },
    "with candidates of equal score": async () => {
      const request = { prompt_token_ids: [5], mode: "beam", num_beams: 3, num_return_sequences: 3 };
      const { sequences } = await ask(flat, { ...request, max_length: 3, no_repeat_ngram_size: 0 });
      assert.deepEqual(
        sequences.map(({ tokenIds }) => tokenIds.slice(1)),
        [
          [0, 0],
          [0, 1],
          [0, 2],
        ],
      );
    },
  },
  no_repeat_ngram_size: {
    "1": () =>
      forModes(MODES, async (mode) => {
        const request = { no_repeat_ngram_size: 1, prompt_token_ids: [12, 4], max_length: 13, mode };
        const [ids = []] = idsOf(await ask(digits, request)); // Token 12 would end the text.
        assert.deepEqual(
          ids.toSorted((a, b) => a - b),
          ALL,
        );
      }),
    "longer than the sequence": () =>
      forModes(MODES, async (mode) => {
        const request = { ...prompt(3), mode, max_length: 12 };
        const free = await ask(digits, { ...request, no_repeat_ngram_size: 0 });
        for (const no_repeat_ngram_size of [13, 1e15]) {
          const { sequences } = await ask(digits, { ...request, no_repeat_ngram_size });
          assert.deepEqual(sequences, free.sequences);
        }
      }),
    "with every token banned, in `greedy`": () => givesTokenZero("greedy"),
    "with every token banned, in the sampled modes": () => forModes(SAMPLED, givesTokenZero),
    "with every token banned, in `beam`": async () => {
      const { sequences, generatedTokens } = await ask(digits, {
        ...ban,
        prompt_token_ids: ALL,
        mode: "beam",
      });
      const asItStands = { text: "", tokenIds: ALL, tokens: [], finishReason: "length" };
      assert.deepEqual(sequences, [asItStands, asItStands]);
      assert.equal(generatedTokens, 0);
      // Token 12 ends a text. Only tokens 11 and 12 are left: one beam ends at once, the other uses both up.
      const left = { prompt_token_ids: ALL.slice(0, 11), mode: "beam", num_beams: 2 };
      const both = await ask(digits, { ...ban, ...left });
      assert.deepEqual(newIds(both), [[12], [11, 12]]);
      for (const { score, finishReason } of both.sequences) {
        assert.ok(score !== undefined && Number.isFinite(score));
        assert.equal(finishReason, "stop");
      }
    },
  },
  seed: {
    "-1, null or none": async () => {
      const request = { ...prompt(3), mode: "sample" };
      const expected = await ask(digits, { ...request, seed: 77 });
      for (const seed of [-1, null, undefined]) {
        assert.deepEqual(await ask(digits, { ...request, seed }), expected);
      }
      assert.equal(expected.seed, 77);
    },
    "4294967295, the largest": async () => {
      const request = { ...sampleOf, mode: "sample", temperature: 5 };
      const largest = await ask(digits, { ...request, seed: 4_294_967_295 });
      assert.equal(largest.seed, 4_294_967_295);
      assert.notDeepEqual(idsOf(largest), idsOf(await ask(digits, { ...request, seed: 4_294_967_294 })));
    },
  },
};

/** Asserts that each of `ends` can end a sequence in every mode, and that the first one that occurs ends it. */
async function endsAt(generator: TextGenerator, ends: readonly number[]): Promise<void> {
  const seen = new Set<number>();
  await forModes(MODES, async (mode) => {
    const request = { ...prompt(2), mode, num_return_sequences: 5, temperature: 5, max_length: 32 };
    const { sequences } = await ask(generator, { ...request, no_repeat_ngram_size: 3, top_p: 1 });
    for (const { tokenIds, finishReason } of sequences) {
      const end = tokenIds.findIndex((id) => ends.includes(id));
      assert.equal(finishReason, end < 0 ? "length" : "stop");
      assert.equal(end < 0 ? 32 : end + 1, tokenIds.length);
      if (end >= 0) seen.add(tokenIds[end] as number);
    }
  });
  assert.deepEqual([...seen].sort(), ends);
}

async function givesTokenZero(mode: string): Promise<void> {
  const generation = await ask(digits, { ...ban, prompt_token_ids: ALL, mode });
  assert.deepEqual(newIds(generation), [
    [0, 0, 0],
    [0, 0, 0],
  ]);
}

for (const [parameter, tests] of Object.entries(TESTS)) {
  describe(`${parameter} at its extreme values`, () => {
    for (const [edge, test] of Object.entries(tests)) it(edge, test);
  });
}
