import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import type { ErrorCode } from "../errors.ts";
import { parseJsonBody, readJsonBody } from "./body.ts";
import { MODES, type ParseOptions, parseGenerationParams, requestSchema } from "./params.ts";

const OPTIONS: ParseOptions = { contextLength: 256, randomSeed: () => 4242 };
const MODE_NAMES = Object.keys(MODES);

function parse(body: unknown, options: Partial<ParseOptions> = {}) {
  return parseGenerationParams(body, { ...OPTIONS, ...options });
}

function refused(code: ErrorCode, message: RegExp | string) {
  return typeof message === "string"
    ? { name: "GptError", code, message }
    : { name: "GptError", code, message };
}

test("an input alone gets the documented defaults", () => {
  assert.deepEqual(parse({ input: "Hello" }), {
    input: "Hello",
    decoding: {
      maxLength: 100,
      numReturnSequences: 3,
      seed: 4242,
      noRepeatNgramSize: 0,
      search: { kind: "sample", temperature: 1, topK: 50, topP: 0.92 },
    },
  });
});

test("each mode reads its own parameters, and ignores the others", () => {
  const everything = {
    input: "This is an input text",
    max_length: 50,
    top_p: 0.5,
    top_k: 7,
    temperature: 0.3,
    num_beams: 4,
    num_return_sequences: 2,
    seed: -1,
  };
  const off = { kind: "sample", temperature: 1, topK: 0, topP: 1 };
  const beam = { kind: "beam", lengthPenalty: 1, earlyStopping: false };
  const table: [mode: string, search: object, defaults: object][] = [
    ["sample-top-p", { ...off, topK: 7, topP: 0.5 }, { ...off, topK: 50, topP: 0.92 }],
    ["sample-top-k", { ...off, topK: 7 }, { ...off, topK: 50 }],
    [
      "sample",
      { ...off, topK: 7, topP: 0.5, temperature: 0.3 },
      { ...off, topK: 50, topP: 0.92, temperature: 0.7 },
    ],
    ["beam", { ...beam, numBeams: 4 }, { ...beam, numBeams: 5 }],
    ["greedy", { kind: "greedy" }, { kind: "greedy" }],
  ];
  assert.deepEqual(table.map(([mode]) => mode).sort(), MODE_NAMES.toSorted());
  for (const [mode, search, defaults] of table) {
    assert.deepEqual(parse({ ...everything, mode }).decoding.search, search, mode);
    assert.deepEqual(parse({ input: "", mode }).decoding.search, defaults, mode);
  }
});

test("no_repeat_ngram_size is 2 in beam mode, and elsewhere counts only when it is sent", () => {
  for (const mode of MODE_NAMES) {
    assert.equal(parse({ input: "", mode }).decoding.noRepeatNgramSize, mode === "beam" ? 2 : 0, mode);
    assert.equal(parse({ input: "", mode, no_repeat_ngram_size: 3 }).decoding.noRepeatNgramSize, 3, mode);
    assert.equal(parse({ input: "", mode, no_repeat_ngram_size: 0 }).decoding.noRepeatNgramSize, 0, mode);
  }
});

const BIAS =
  'logit_bias must be an object of at most 1024 token ids and numbers from -100 to 100, such as {"262": -5}';
const STOP = "stop must be a string of 1 to 256 bytes in UTF-8, or a list of at most 64 of them";

test("every field is checked in every mode, and the message gives the range and what came", () => {
  const wrong: [field: string, value: unknown, message: string][] = [
    ["input", null, "input must be a string, got null"],
    ["input", 5, "input must be a string, got 5"],
    ["input", ["a"], "input must be a string, got a list"],
    ["max_length", "ten", 'max_length must be an integer from 1 to 256, got "ten" (a string)'],
    ["max_length", "10", 'max_length must be an integer from 1 to 256, got "10" (a string)'],
    ["max_length", 0, "max_length must be an integer from 1 to 256, got 0"],
    ["max_length", 257, "max_length must be an integer from 1 to 256, got 257"],
    ["max_length", 1.5, "max_length must be an integer from 1 to 256, got 1.5"],
    ["max_length", true, "max_length must be an integer from 1 to 256, got true (a boolean)"],
    [
      "max_length",
      null,
      "max_length must be an integer from 1 to 256, got null; leave the field out for its default",
    ],
    ["max_new_tokens", -1, "max_new_tokens must be an integer from 0 to 256, got -1"],
    ["truncate", 0, "truncate must be an integer from 1 to 256, got 0"],
    ["min_p", 1.1, "min_p must be a number from 0 to 1, got 1.1"],
    ["length_penalty", "1", 'length_penalty must be a number, got "1" (a string)'],
    ["early_stopping", 1, "early_stopping must be true or false, got 1"],
    ["best_of", 65, "best_of must be an integer from 1 to 64, got 65"],
    ["repetition_penalty", 0, "repetition_penalty must be a number greater than 0, got 0"],
    ["frequency_penalty", 2.5, "frequency_penalty must be a number from -2 to 2, got 2.5"],
    ["presence_penalty", -3, "presence_penalty must be a number from -2 to 2, got -3"],
    ["logit_bias", { "1": 101 }, `${BIAS}, got 101 in it`],
    ["logit_bias", { a: 1 }, `${BIAS}, got 1 in it`],
    ["logit_bias", [1], `${BIAS}, got a list`],
    ["logit_bias", Object.fromEntries(new Array(1025).fill(1).entries()), `${BIAS}, got an object`],
    [
      "logit_bias",
      JSON.parse('{"__proto__": 1}'),
      'logit_bias must have token ids for names, got "__proto__"',
    ],
    ["ignore_eos", "yes", 'ignore_eos must be true or false, got "yes" (a string)'],
    ["stop", 5, `${STOP}, got 5`],
    ["stop", "é".repeat(129), `${STOP}, got "${"é".repeat(60)}…" (a string)`],
    ["stop", ["a", 7], `${STOP}, got 7 in it`],
    ["stop", new Array(65).fill("a"), `${STOP}, got a list`],
    ["stop_token_ids", [1, -1], "stop_token_ids must be a list of at most 64 token ids, got -1 in it"],
    ["min_new_tokens", -1, "min_new_tokens must be an integer of at least 0, got -1"],
    ["logprobs", 21, "logprobs must be an integer from 0 to 20, got 21"],
    ["logprobs", true, "logprobs must be an integer from 0 to 20, got true (a boolean)"],
    ["include_stop", 0, "include_stop must be true or false, got 0"],
    ["echo", "no", 'echo must be true or false, got "no" (a string)'],
    ["num_return_sequences", 0, "num_return_sequences must be an integer from 1 to 64, got 0"],
    ["num_return_sequences", 65, "num_return_sequences must be an integer from 1 to 64, got 65"],
    ["top_p", -0.1, "top_p must be a number from 0 to 1, got -0.1"],
    ["top_p", 1.1, "top_p must be a number from 0 to 1, got 1.1"],
    ["top_p", {}, "top_p must be a number from 0 to 1, got an object"],
    ["top_k", -1, "top_k must be an integer of at least 0, got -1"],
    ["top_k", 2.5, "top_k must be an integer of at least 0, got 2.5"],
    ["temperature", 0, "temperature must be a number greater than 0, got 0"],
    ["temperature", -1, "temperature must be a number greater than 0, got -1"],
    ["temperature", JSON.parse("1e999"), "temperature must be a number greater than 0, got Infinity"],
    ["num_beams", 0, "num_beams must be an integer from 1 to 32, got 0"],
    ["num_beams", 33, "num_beams must be an integer from 1 to 32, got 33"],
    ["no_repeat_ngram_size", -1, "no_repeat_ngram_size must be an integer of at least 0, got -1"],
    ["seed", -2, "seed must be an integer from -1 to 4294967295 or null, got -2"],
    ["seed", 2 ** 32, "seed must be an integer from -1 to 4294967295 or null, got 4294967296"],
    ["seed", "1", 'seed must be an integer from -1 to 4294967295 or null, got "1" (a string)'],
  ];
  for (const mode of MODE_NAMES) {
    for (const [field, value, message] of wrong) {
      assert.throws(() => parse({ input: "", mode, [field]: value }), refused("invalid_field", message));
    }
  }
  const modes = "mode must be one of sample-top-p, sample-top-k, sample, beam, greedy";
  assert.throws(
    () => parse({ input: "", mode: "beams" }),
    refused("invalid_field", `${modes}, got "beams" (a string)`),
  );
  assert.throws(
    () => parse({ mode: "beam" }),
    refused("invalid_field", "The required field input is missing"),
  );
});

test("the ends of every range are accepted, and so are integers written as 50.0", () => {
  const edges: [field: string, values: unknown[]][] = [
    ["input", ["", "<|endoftext|>"]],
    ["max_length", [1, 256, JSON.parse("50.0"), JSON.parse("5e1")]],
    ["max_new_tokens", [0, 256]],
    ["stop", ["x", [], "é".repeat(128), new Array(64).fill("a")]],
    ["logit_bias", [{}, { 0: -100, 50256: 100 }, Object.fromEntries(new Array(1024).fill(1).entries())]],
    ["logprobs", [0, 20]],
    ["frequency_penalty", [-2, 2]],
    ["length_penalty", [-3, 0, 1e9]],
    ["num_return_sequences", [1, 5]],
    ["top_p", [0, 1]],
    ["top_k", [0, 1, 1e6]],
    ["temperature", [1e-6, 1, 100]],
    ["num_beams", [3, 32]],
    ["no_repeat_ngram_size", [0, 1, 1000]],
    ["seed", [null, -1, 0, 2 ** 32 - 1]],
  ];
  for (const mode of MODE_NAMES) {
    for (const [field, values] of edges) {
      for (const value of values)
        assert.ok(parse({ input: "", mode, [field]: value }), `${mode} ${field} ${value}`);
    }
  }
  assert.equal(parse({ input: "", num_return_sequences: 64 }).decoding.numReturnSequences, 64);
});

test("limits come from the model and the settings", () => {
  assert.equal(parse({ input: "" }, { contextLength: 64 }).decoding.maxLength, 64);
  assert.throws(() => parse({ input: "", max_length: 65 }, { contextLength: 64 }), /from 1 to 64, got 65/);
  assert.throws(
    () => parse({ input: "", num_return_sequences: 9 }, { maxNumReturnSequences: 8 }),
    /from 1 to 8/,
  );
  assert.throws(() => parse({ input: "", num_beams: 9 }, { maxNumBeams: 8 }), /from 1 to 8/);
});

test("a seed of -1, null or none is a fresh one; any other is used", () => {
  for (const seed of [-1, null, undefined]) assert.equal(parse({ input: "", seed }).decoding.seed, 4242);
  assert.equal(parse({ input: "", seed: 0 }).decoding.seed, 0);
  assert.equal(parse({ input: "", seed: 7 }).decoding.seed, 7);
});

test("fields that exclude or bound each other", () => {
  assert.equal(parse({ input: "", max_new_tokens: 5 }).maxNewTokens, 5);
  assert.throws(
    () => parse({ input: "", max_new_tokens: 5, max_length: 5 }),
    refused("invalid_field", /exclude each other/),
  );
  assert.throws(
    () => parse({ input: "", mode: "beam", num_return_sequences: 6 }),
    refused("invalid_field", "num_return_sequences must be at most num_beams (5) in beam mode, got 6"),
  );
  assert.throws(
    () => parse({ input: "", mode: "beam", num_beams: 2 }),
    /at most num_beams \(2\).*got 3, the default/,
  );
  assert.equal(parse({ input: "", mode: "beam", num_return_sequences: 5 }).decoding.numReturnSequences, 5);
  assert.ok(parse({ input: "", mode: "sample", num_beams: 1, num_return_sequences: 6 }));
});

test("an unknown field is refused by name, with the one that was meant", () => {
  const meant = (field: string) => () => parse({ input: "", [field]: 1 });
  assert.throws(
    meant("max_lenght"),
    refused("unknown_field", 'The field "max_lenght" is unknown; did you mean "max_length"?'),
  );
  assert.throws(meant("topk"), refused("unknown_field", /did you mean "top_k"/));
  assert.throws(meant("x"), refused("unknown_field", /the known ones are input, max_length, .*, echo$/));
  assert.throws(meant("constructor"), refused("unknown_field", /"constructor" is unknown/));
  assert.throws(
    () => parse(JSON.parse('{"input":"a","__proto__":{"top_k":1}}')),
    refused("unknown_field", /"__proto__"/),
  );
  assert.throws(meant("prompt_token_ids"), refused("unknown_field", /"prompt_token_ids" is unknown/));
});

test("token ids replace the input where they are allowed", () => {
  const allowed = { allowTokenIds: true };
  const { input, promptTokenIds } = parse({ prompt_token_ids: [0, 5] }, allowed);
  assert.deepEqual([input, promptTokenIds], [undefined, [0, 5]]);
  assert.equal(parse({ input: "text" }, allowed).input, "text");
  assert.throws(
    () => parse({ prompt_token_ids: [1], input: "" }, allowed),
    refused("invalid_field", /exclude each other/),
  );
  assert.throws(() => parse({}, allowed), refused("invalid_field", /input is missing/));
  for (const [ids, shown] of [
    [[], "a list"],
    ["1", '"1" (a string)'],
    [[1, -1], "-1 in it"],
    [[1, "2"], '"2"'],
    [null, "null"],
  ] as const) {
    assert.throws(
      () => parse({ prompt_token_ids: ids }, allowed),
      (error: Error) => error.message.includes(`got ${shown}`),
    );
  }
});

test("a body must be a JSON object in UTF-8", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  assert.deepEqual(parseJsonBody(bytes(' {"input": "é"}\n')), { input: "é" });
  assert.deepEqual(parseJsonBody(bytes('\ufeff{"input": ""}')), { input: "" });
  assert.throws(() => parseJsonBody(bytes("")), refused("invalid_json", /is empty/));
  assert.throws(() => parseJsonBody(bytes("input=x")), refused("invalid_json", /is not JSON/));
  for (const body of ["[]", '"text"', "null", "5", "true"]) {
    assert.throws(() => parseJsonBody(bytes(body)), refused("invalid_body", /must be a JSON object/), body);
  }
});

test("a body that AWS CLI v2 took for base64 is answered with the option that helps", () => {
  const hint = /--cli-binary-format raw-in-base64-out/;
  const decoded = Buffer.from('{"input":"abc"}', "base64");
  assert.throws(() => parseJsonBody(decoded), refused("invalid_json", hint));
  assert.throws(() => parseJsonBody(Buffer.from("\u0001\u0002ab")), refused("invalid_json", hint));
  assert.throws(
    () => parseJsonBody(Buffer.from('{\n"input"}')),
    (error: Error) => !hint.test(error.message),
  );
});

test("a body in base64 is told to be just that", () => {
  const hint = /; it is base64: send the JSON object as it is$/;
  const object = Buffer.from('{"input": "a \u{1f388}?>"}');
  const folded = object.toString("base64").replace(/.{10}/g, "$&\r\n");
  for (const body of [object.toString("base64"), object.toString("base64url"), folded]) {
    assert.throws(() => parseJsonBody(Buffer.from(body)), refused("invalid_json", hint), body);
  }
  for (const body of ["aGVsbG8=", "abcd", "eyJ", "input=eyJpbnB1dCI6ICJhIn0="]) {
    assert.throws(
      () => parseJsonBody(Buffer.from(body)),
      (error: Error) => !hint.test(error.message),
    );
  }
});

test("a body that is nested a hundred thousand deep is refused like any other", () => {
  const deep = (prefix: string) => Buffer.from(prefix + "[".repeat(1e5) + "]".repeat(1e5) + (prefix && "}"));
  assert.throws(() => parseJsonBody(deep("")), refused("invalid_body", /got a list/));
  assert.throws(
    () => parse(parseJsonBody(deep('{"input":'))),
    refused("invalid_field", "input must be a string, got a list"),
  );
});

test("a body of many values is refused unparsed, one of much text is not", async () => {
  const many = refused("invalid_body", /more than 4000 values/);
  const parts = ["[".repeat(5000), `{"a":[${"1,".repeat(5000)}1]}`, '{"a":'.repeat(5000)];
  for (const text of parts) await assert.rejects(readJsonBody(Buffer.from(text)), many);
  for (const text of [",".repeat(5000), '\\"['.repeat(5000), "\\\\", "[é{".repeat(5000)]) {
    const body = Buffer.from(`{"input":"${text}"}`);
    assert.deepEqual(await readJsonBody(body), JSON.parse(body.toString()));
  }
  await assert.rejects(readJsonBody(Buffer.alloc(0)), refused("invalid_json", /is empty/));
  assert.deepEqual(await readJsonBody(Buffer.from('{"a": [1, 2]}'), { valuesMax: 3 }), { a: [1, 2] });
  await assert.rejects(
    readJsonBody(Buffer.from('{"a": [1, 2]}'), { valuesMax: 2 }),
    refused("invalid_body", /than 2 values/),
  );
});

test("others have their turn while a large body is read, and values are counted across its parts", async () => {
  let numTurns = 0;
  let isDone = false;
  const others = (async () => {
    for (; !isDone; numTurns++) await new Promise((resolve) => setImmediate(resolve));
  })();
  const text = '\\"[,'.repeat(2 ** 19); // Quotes and backslashes stand on both sides of every cut.
  for (const shift of [0, 1, 2]) {
    const body = Buffer.from(`{"input":"${"x".repeat(shift)}${text}"}`);
    assert.equal(((await readJsonBody(body)).input as string).length, shift + (3 * text.length) / 4);
  }
  isDone = true;
  await others;
  assert.ok(numTurns > 20, `${numTurns} turns`);
});

test("the schema can be exported as JSON Schema, with a description of every field", () => {
  const { properties, required } = z.toJSONSchema(requestSchema(OPTIONS), { io: "input" });
  assert.deepEqual(required, ["input"]);
  for (const [name, field] of Object.entries(properties ?? {})) {
    assert.ok(typeof field === "object" && field.description, name);
  }
});
