import assert from "node:assert/strict";
import { test } from "node:test";
import { GptError } from "../../errors.ts";
import { type CompletionLimits, readCompletion } from "./completion-request.ts";

const LIMITS: CompletionLimits = { maxNumReturnSequences: 8, maxNumBeams: 8, randomSeed: () => 4242 };

function read(body: object) {
  return readCompletion(JSON.parse(JSON.stringify(body)), LIMITS);
}

function only(body: object) {
  const { requests } = read({ prompt: "a", ...body });
  assert.equal(requests.length, 1);
  return requests[0] as (typeof requests)[number];
}

function refused(body: object, field: string, message: RegExp, code = "invalid_field"): void {
  assert.throws(
    () => read({ prompt: "a", ...body }),
    (error) =>
      error instanceof GptError &&
      error.code === code &&
      error.field === field &&
      message.test(error.message),
    JSON.stringify(body),
  );
}

test("nothing sent means OpenAI's defaults: sixteen tokens of the model's own distribution", () => {
  assert.deepEqual(read({}), {
    requests: [
      {
        input: "<|endoftext|>",
        maxNewTokens: 16,
        fitsContext: true,
        echo: false,
        decoding: {
          maxLength: 0,
          numReturnSequences: 1,
          seed: 4242,
          noRepeatNgramSize: 0,
          search: { kind: "sample", temperature: 1, topK: 0, topP: 1 },
        },
      },
    ],
    seed: 4242,
    echo: false,
    tellsLogprobs: false,
    isStreamed: false,
    includesUsage: false,
    returnsTokenIds: false,
    namesTokensById: false,
  });
});

test("null stands for a field that is not there, also for one that nobody knows", () => {
  const nulls = Object.fromEntries(
    [
      "max_tokens",
      "temperature",
      "top_p",
      "n",
      "best_of",
      "stream",
      "stream_options",
      "logprobs",
      "echo",
      "stop",
    ].map((name) => [name, null]),
  );
  const more = {
    seed: null,
    suffix: null,
    user: null,
    logit_bias: null,
    prompt: null,
    model: null,
    nobody_knows: null,
  };
  assert.deepEqual(read({ ...nulls, ...more }), read({}));
});

test("prompts are texts or token ids, one or a list; each has its own seed", () => {
  const prompts = (prompt: unknown) =>
    read({ prompt, seed: 2 ** 32 - 1 }).requests.map(({ input, promptTokenIds, decoding }) => [
      input ?? promptTokenIds,
      decoding.seed,
    ]);
  assert.deepEqual(prompts("x"), [["x", 4294967295]]);
  assert.deepEqual(prompts(["x", ""]), [
    ["x", 4294967295],
    ["", 0],
  ]);
  assert.deepEqual(prompts([1, 2]), [[[1, 2], 4294967295]]);
  assert.deepEqual(prompts([[1], [2, 3]]), [
    [[1], 4294967295],
    [[2, 3], 0],
  ]);
  for (const [prompt, message] of [
    [[], /got an empty list$/],
    [[[]], /an empty list in it/],
    [["a", [1]], /several kinds/],
    [[1, "a"], /got "a" \(a string\) in it/],
    [[[1.5]], /got 1.5 in it/],
    [[-1], /got -1 in it/],
    [{}, /got an object/],
    [5, /got 5/],
    [new Array(129).fill("a"), /got 129 prompts/],
  ] as const) {
    refused({ prompt }, "prompt", message);
  }
});

test("temperature, beams and candidates choose the search", () => {
  const kindOf = (body: object) => only(body).decoding.search;
  assert.deepEqual(kindOf({ temperature: 0 }), { kind: "greedy" });
  assert.deepEqual(kindOf({ temperature: 0.5, top_p: 0.9, top_k: 7, min_p: 0.1 }), {
    kind: "sample",
    temperature: 0.5,
    topK: 7,
    topP: 0.9,
    minP: 0.1,
  });
  assert.deepEqual(kindOf({ top_k: -1 }), { kind: "sample", temperature: 1, topK: 0, topP: 1 });
  const beams = (numBeams: number) => ({ kind: "beam", numBeams, lengthPenalty: 1, earlyStopping: false });
  assert.deepEqual(kindOf({ num_beams: 4, temperature: 0.3 }), beams(4));
  assert.deepEqual(kindOf({ use_beam_search: true, best_of: 3 }), beams(3));
  assert.deepEqual(kindOf({ use_beam_search: true, n: 2 }), beams(2));
  assert.deepEqual(kindOf({ use_beam_search: true }), { kind: "greedy" });
  assert.deepEqual(kindOf({ num_beams: 1, temperature: 0 }), { kind: "greedy" });
  const best = only({ n: 2, best_of: 5 });
  assert.deepEqual([best.keepBest, best.decoding.numReturnSequences, best.decoding.logprobs], [2, 5, 0]);
  const greedy = only({ n: 2, best_of: 5, temperature: 0 });
  assert.deepEqual([greedy.keepBest, greedy.decoding.numReturnSequences], [undefined, 2]);
});

test("the other fields reach the core", () => {
  const { decoding, ...core } = only({
    max_tokens: 9,
    max_new_tokens: 7,
    echo: true,
    stop: "x",
    include_stop_str_in_output: true,
    logprobs: 2,
    presence_penalty: 1,
    frequency_penalty: -1,
    repetition_penalty: 2,
    logit_bias: { "5": -3 },
    seed: -5,
    ignore_eos: true,
    min_tokens: 3,
    stop_token_ids: [4],
    no_repeat_ngram_size: 2,
    user: "u",
    suffix: "",
    store: true,
    logitBias: {},
    skip_special_tokens: true,
  });
  assert.deepEqual(core, {
    input: "a",
    maxNewTokens: 7,
    stopStrings: ["x"],
    includeStop: true,
    tellsLogprobs: true,
  });
  const { search: _, ...rest } = decoding;
  assert.deepEqual(rest, {
    maxLength: 0,
    numReturnSequences: 1,
    seed: 2 ** 32 - 5,
    noRepeatNgramSize: 2,
    penalties: { logitBias: new Map([[5, -3]]), repetition: 2, frequency: -1, presence: 1 },
    ending: { minNewTokens: 3, ignoreEos: true, stopTokenIds: [4] },
    logprobs: 2,
    promptLogprobs: true,
  });
  assert.equal(only({ return_full_text: true }).echo, undefined);
  const streamed = read({ stream: true, stream_options: { include_usage: true }, return_token_ids: true });
  assert.deepEqual(
    [streamed.isStreamed, streamed.includesUsage, streamed.returnsTokenIds],
    [true, true, true],
  );
});

test("what cannot be done is refused with the field's name", () => {
  refused({ max_tokens: 0 }, "max_tokens", /at least 1 unless echo is true/);
  refused({ temperature: 2.1 }, "temperature", /from 0 to 2, got 2.1/);
  refused({ n: 9 }, "n", /from 1 to 8/);
  refused({ n: 3, best_of: 2 }, "best_of", /at least n \(3\)/);
  refused({ n: 3, num_beams: 2 }, "n", /at most the number of beams \(2\)/);
  refused({ num_beams: 2, best_of: 4 }, "best_of", /must equal n/);
  refused({ stream: true, best_of: 2 }, "best_of", /in a stream/);
  refused({ stream_options: {} }, "stream_options", /unless stream is true/);
  refused({ stream: true, stream_options: { other: true } }, "stream_options", /must be an object such as/);
  refused({ logprobs: true }, "logprobs", /from 0 to 20, got true/);
  refused({ suffix: "x" }, "suffix", /suffix must be empty, got "x"/);
  refused({ skip_special_tokens: false }, "skip_special_tokens", /must be true/);
  refused({ stop: "" }, "stop", /1 to 256 bytes/);
  refused({ seed: 1.5 }, "seed", /an integer/);
  const unknown = (name: string, message: RegExp) => refused({ [name]: 1 }, name, message, "unknown_field");
  unknown("response_format", /^Unrecognized request argument supplied: response_format/);
  unknown("max_token", /did you mean max_tokens\?$/);
  unknown("prompt_logprobs", /^Unrecognized request argument supplied: prompt_logprobs/);
});
