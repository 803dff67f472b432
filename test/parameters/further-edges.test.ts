// Extreme values of the parameters that SageMaker's contract does not have: tests of the second table in edges.ts.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { packageRoot } from "../../src/generator/model-directory.ts";
import { answerOf, type ScoredText } from "../../src/request/answer.ts";
import type { GeneratedSequence, Generation } from "../../src/request/generation.ts";
import { parseGenerationParams } from "../../src/request/params.ts";
import { loadTokenizer } from "../../src/tokenizer/tokenizer-files.ts";
import { temporaryDirectory } from "../support/checkpoints.ts";
import { makeGenerator } from "../support/inline-generator.ts";
import type { FURTHER_EDGES } from "./edges.ts";

const END = 50256;
const OPTIONS = { contextLength: 64, randomSeed: () => 77 };
const directory = temporaryDirectory();
const tokenizer = await loadTokenizer(join(packageRoot(), "models/tiny"));
const shape = { seed: 7, V: 50257, P: OPTIONS.contextLength, C: 8, L: 1 };
const words = makeGenerator(join(directory.path, "words"), shape, tokenizer);
/** A model for which all tokens are equally likely. */
const flat = makeGenerator(join(directory.path, "flat"), { ...shape, ws: 0 }, tokenizer);
after(async () => {
  await Promise.all([words.close(), flat.close()]);
  directory.remove();
});

const INPUT = "One two three";
const PROMPT = tokenizer.encode(INPUT);
const GREEDY = { input: INPUT, mode: "greedy", num_return_sequences: 1, max_new_tokens: 12, seed: 1 };

async function ask(request: object, generator = words): Promise<Generation> {
  return generator.generate(parseGenerationParams({ ...GREEDY, ...request }, OPTIONS));
}

async function scored(request: object): Promise<ScoredText[]> {
  const params = parseGenerationParams({ ...GREEDY, ...request }, OPTIONS);
  return answerOf(params, await words.generate(params), (id) => words.token(id)) as ScoredText[];
}

async function first(request: object): Promise<GeneratedSequence> {
  return (await ask(request)).sequences[0] as GeneratedSequence;
}

async function newIds(request: object): Promise<number[]> {
  const { sequences, promptTokens } = await ask(request);
  return (sequences[0] as GeneratedSequence).tokenIds.slice(promptTokens);
}

const refuses = (request: object, message: RegExp): Promise<void> =>
  assert.rejects(async () => ask(request), { code: "invalid_field", message });

const textOf = (ids: readonly number[]): string => tokenizer.decode(ids);
/** The result of greedy search without any of these parameters. */
const FREE = await newIds({});
const BEAM = { mode: "beam", num_beams: 3, num_return_sequences: 3 };

const TESTS: {
  [P in keyof typeof FURTHER_EDGES]: { [Edge in keyof (typeof FURTHER_EDGES)[P]]: () => Promise<void> };
} = {
  truncate: {
    "as many as the prompt has tokens, or more": async () => {
      assert.deepEqual(await newIds({ truncate: PROMPT.length }), FREE);
      assert.deepEqual(await newIds({ truncate: 60 }), FREE);
    },
    "with a long input": async () => {
      const { sequences, promptTokens } = await ask({ truncate: 2 });
      const [{ text, tokenIds }] = sequences as [GeneratedSequence];
      const own = await newIds({ input: textOf(PROMPT.slice(-2)) });
      assert.deepEqual([promptTokens, tokenIds], [2, [...PROMPT.slice(-2), ...own]]);
      assert.equal(text, INPUT + textOf(own));
    },
  },
  min_p: {
    "1": async () => {
      const request = { mode: "sample", top_k: 0, top_p: 1, temperature: 3, min_p: 1 };
      assert.deepEqual(await newIds(request), FREE);
      const { sequences } = await ask({ ...request, num_return_sequences: 4 }, flat);
      assert.equal(new Set(sequences.map(({ text }) => text)).size, 4);
    },
  },
  length_penalty: {
    "0": async () => {
      const request = {
        ...BEAM,
        length_penalty: 0,
        no_repeat_ngram_size: 0,
        logprobs: 0,
        stop_token_ids: [END],
      };
      const { sequences } = await ask(request);
      for (const { score, tokens } of sequences) {
        const sum = tokens.reduce((total, { logprobs }) => total + (logprobs?.logprob as number), 0);
        assert.ok(Math.abs((score as number) - sum) < 1e-4, `${score} and ${sum}`);
      }
    },
  },
  early_stopping: {
    true: async () => {
      const ends = [...Array(50257).keys()].filter((id) => textOf([id]).includes("e")).slice(0, 64);
      const ask_ = async (early_stopping: boolean) =>
        (
          await ask({
            ...BEAM,
            max_new_tokens: 40,
            length_penalty: -2,
            stop_token_ids: ends,
            stop: ["a", "e"],
            early_stopping,
          })
        ).sequences;
      const [early, late] = [await ask_(true), await ask_(false)];
      const longest = (some: readonly GeneratedSequence[]) =>
        Math.max(...some.map(({ tokenIds }) => tokenIds.length));
      assert.ok(early.every(({ finishReason }) => finishReason === "stop"));
      assert.ok(longest(early) <= longest(late));
    },
  },
  best_of: {
    "below `num_return_sequences`": async () => {
      await refuses(
        { mode: "sample", best_of: 2, num_return_sequences: 3 },
        /best_of must be at least .* \(3\), got 2/,
      );
      await ask({ ...BEAM, best_of: 2 });
    },
    "with texts of equal mean log-probability": async () => {
      const request = { mode: "sample", top_k: 0, top_p: 1, ignore_eos: true };
      const { sequences: drawn } = await ask({ ...request, num_return_sequences: 5 }, flat);
      const { sequences: best } = await ask({ ...request, best_of: 5, num_return_sequences: 2 }, flat);
      assert.deepEqual(
        best.map(({ text }) => text),
        drawn.slice(0, 2).map(({ text }) => text),
      );
    },
  },
  repetition_penalty: {
    "with a token that occurs often": async () => {
      const input = `${INPUT}${" one".repeat(9)}`;
      const twice = `${INPUT}${" one".repeat(8)} one`;
      assert.deepEqual(
        await newIds({ input, repetition_penalty: 1.5 }),
        await newIds({ input: twice, repetition_penalty: 1.5 }),
      );
    },
  },
  frequency_penalty: {
    "with tokens of the input": async () => {
      const request = { max_new_tokens: 1, input: INPUT + textOf(FREE.slice(0, 3)) };
      const plain = await newIds(request);
      for (const penalty of ["frequency_penalty", "presence_penalty"])
        assert.deepEqual(await newIds({ ...request, [penalty]: 2 }), plain);
    },
  },
  presence_penalty: {
    "with a token that was generated often": async () => {
      // A bias of 100 outweighs one presence penalty of 2, however often the token occurred. A frequency penalty of 2 outweighs it
      // after 50 occurrences.
      const bias = { logit_bias: { 262: 100 }, max_new_tokens: 60 };
      assert.deepEqual(await newIds({ ...bias, presence_penalty: 2 }), new Array(60).fill(262));
      assert.ok((await newIds({ ...bias, frequency_penalty: 2 })).some((id) => id !== 262));
    },
  },
  logit_bias: {
    "of a token outside the vocabulary": () =>
      refuses({ logit_bias: { 50257: 1 } }, /token 50257, and the vocabulary of rule ends at 50256/),
    "in beam mode": async () => {
      const { sequences } = await ask({
        ...BEAM,
        num_return_sequences: 1,
        logit_bias: { 262: 50 },
        no_repeat_ngram_size: 0,
      });
      assert.deepEqual(sequences[0]?.tokenIds.slice(PROMPT.length), new Array(12).fill(262));
      assert.ok((sequences[0]?.score as number) > 30);
    },
  },
  ignore_eos: {
    "with `stop_token_ids` that name the end-of-text token": async () => {
      const request = { ignore_eos: true, logit_bias: { [END]: 100 } };
      assert.deepEqual(await newIds(request), new Array(12).fill(END));
      assert.deepEqual(await newIds({ ...request, stop_token_ids: [END] }), [END]);
    },
  },
  stop: {
    "an empty list": async () => assert.deepEqual(await newIds({ stop: [] }), FREE),
    "an empty string": async () => {
      await refuses(
        { stop: "" },
        /stop must be a string of 1 to 256 bytes in UTF-8, or a list of at most 64 of them, got ""/,
      );
      await refuses({ stop: ["a", ""] }, /got "" \(a string\) in it/);
    },
    "in the input, or half in it": async () => {
      const half = INPUT.slice(-3) + textOf(FREE.slice(0, 1));
      assert.deepEqual(await newIds({ stop: [INPUT, "two", half] }), FREE);
    },
    "inside a token, or over several": async () => {
      const whole = textOf(FREE);
      for (let begin = 0; begin + 2 < whole.length; begin++) {
        const stop = whole.slice(begin, begin + 2);
        const { text, stop: found } = await first({ stop });
        assert.deepEqual([text, found], [INPUT + whole.slice(0, whole.indexOf(stop)), stop]);
      }
    },
    "two that end with the same token": async () => {
      const token = textOf(FREE.slice(0, 1));
      const [long, short, later] = [token.slice(0, 3), token.slice(1, 3), token.slice(1, 4)];
      const { stop, text } = await first({ stop: [short, later, long] });
      assert.deepEqual([stop, text], [long, INPUT]);
    },
    "completed by the last token that `max_length` allows": async () => {
      const { finishReason } = await first({ stop: textOf(FREE.slice(11)).slice(-1), max_new_tokens: 12 });
      assert.equal(finishReason, "stop");
    },
    "in beam mode": async () => {
      const { sequences: free } = await ask({ ...BEAM });
      const stop = textOf(
        (free[0] as GeneratedSequence).tokenIds.slice(PROMPT.length, PROMPT.length + 2),
      ).slice(-2);
      const { sequences } = await ask({ ...BEAM, stop });
      const ended = sequences.filter(({ finishReason }) => finishReason === "stop");
      assert.ok(ended.length > 0);
      for (const { text, tokenIds } of ended) {
        assert.ok(!text.slice(INPUT.length).includes(stop));
        assert.ok(textOf(tokenIds.slice(PROMPT.length)).includes(stop));
      }
    },
  },
  stop_token_ids: {
    "of a token outside the vocabulary": () =>
      refuses({ stop_token_ids: [1, 60000] }, /stop_token_ids names token 60000, and the vocabulary/),
  },
  min_new_tokens: {
    "beside `stop`": async () => {
      const { tokenIds } = await first({ min_new_tokens: 9, stop: textOf(FREE.slice(1, 2)) });
      assert.ok(tokenIds.length - PROMPT.length <= 2);
    },
    "above what `max_length` leaves": async () => {
      const bias = { logit_bias: { [END]: 100 } };
      assert.deepEqual(await newIds(bias), [END]);
      assert.ok(!(await newIds({ ...bias, min_new_tokens: 60 })).includes(END));
    },
  },
  logprobs: {
    "0": async () => {
      for (const top of (await scored({ logprobs: 0 }))[0]?.top_logprobs.slice(1) ?? [])
        assert.equal(Object.keys(top ?? {}).length, 1);
    },
    "with filters, penalties or a temperature": async () => {
      const [plain] = await scored({ logprobs: 3 });
      const forced = Object.fromEntries(FREE.map((id) => [id, 0]));
      const others = [
        { mode: "sample", temperature: 1e-5, top_k: 5, top_p: 0.5, min_p: 0.1 },
        { logit_bias: forced, repetition_penalty: 1.0001, frequency_penalty: 1e-6 },
        { ...BEAM, num_return_sequences: 1, num_beams: 1, no_repeat_ngram_size: 0 },
      ];
      for (const other of others) assert.deepEqual((await scored({ logprobs: 3, ...other }))[0], plain);
      const [beam] = await scored({ ...BEAM, logprobs: 2, max_new_tokens: 3 });
      const again = await scored({ input: beam?.text, max_new_tokens: 0, logprobs: 2 });
      assert.deepEqual(again[0]?.token_logprobs, beam?.token_logprobs);
    },
    "of the first token of the input": async () => {
      const [{ token_logprobs: own, top_logprobs: top, tokens }] = (await scored({ logprobs: 2 })) as [
        ScoredText,
      ];
      assert.deepEqual([own[0], top[0], tokens[0]], [null, null, "One"]);
      assert.ok(own.slice(1).every((value) => typeof value === "number" && value < 0));
    },
  },
  include_stop: {
    "with a stop string that ends inside a token": async () => {
      const stop = textOf(FREE.slice(0, 2)).slice(0, 2);
      const { text, tokenIds } = await first({ stop, include_stop: true });
      assert.equal(text, textOf(tokenIds));
      assert.ok(text.length > INPUT.length + stop.length);
    },
  },
  echo: {
    false: async () => {
      assert.equal((await first({ echo: false })).text, textOf(FREE));
      const [{ tokens, text_offset: offsets }] = (await scored({ echo: false, logprobs: 0 })) as [ScoredText];
      assert.deepEqual([tokens.join(""), offsets[0]], [textOf(FREE), INPUT.length]);
    },
  },
};

for (const [parameter, tests] of Object.entries(TESTS)) {
  describe(`${parameter} at its extreme values`, () => {
    for (const [edge, test] of Object.entries(tests)) it(edge, test);
  });
}
