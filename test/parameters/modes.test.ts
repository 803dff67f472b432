// No parameter is without effect. For every mode: a parameter that the mode reads changes some output, one that it does not read
// changes none, and the range of every parameter is checked. The table of modes is repeated here on purpose, as the expectation.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { GptError } from "../../src/errors.ts";
import {
  MODES,
  type Mode,
  type ParseOptions,
  parseGenerationParams,
  requestSchema,
} from "../../src/request/params.ts";
import { temporaryDirectory } from "../support/checkpoints.ts";
import { makeGenerator } from "../support/inline-generator.ts";

const CONTEXT = 40;
const directory = temporaryDirectory();
const generator = makeGenerator(join(directory.path, "model"), { seed: 7, P: CONTEXT });
after(async () => {
  await generator.close();
  directory.remove();
});

const options: ParseOptions = {
  contextLength: CONTEXT,
  maxNumReturnSequences: 8,
  maxNumBeams: 9,
  randomSeed: () => 4_000_000_000,
  allowTokenIds: true,
};

const END = 60;
const ENDS = [49, ...Array.from({ length: 30 }, (_, i) => 2 * i)];

/** For each parameter, two values whose effects differ in every mode that reads it, and values that are out of range. */
const PARAMETERS: Record<
  string,
  { readonly values: readonly unknown[]; readonly bad: readonly unknown[]; readonly beside?: object }
> = {
  max_length: { values: [8, 20], bad: [0, -1, 41, 1.5, "20", null, true, 1e30] },
  max_new_tokens: { values: [0, 2, 9], bad: [-1, 41, 1.5, "20", true] },
  num_return_sequences: { values: [1, 2, 4], bad: [0, -1, 9, 2.5, "3", null] },
  mode: { values: ["greedy", "beam", "sample", "sample-top-k"], bad: ["", "Greedy", "top-p", 1, null] },
  top_p: { values: [0.3, 0.6, 0.999], bad: [-0.1, 1.01, "0.9", null] },
  top_k: { values: [2, 7, 0], bad: [-1, 0.5, "50", null] },
  temperature: { values: [0.2, 1, 5], bad: [0, -1, "0.7", null] },
  num_beams: { values: [4, 6, 8], bad: [0, -1, 10, 2.5, "5", null] },
  no_repeat_ngram_size: { values: [0, 1, 2], bad: [-1, 1.5, "2", null] },
  truncate: { values: [1, 2, 3], bad: [0, -1, 41, "3"] },
  min_p: { values: [0, 0.3, 0.9], bad: [-0.1, 1.1, "0.5"] },
  length_penalty: { values: [-1, 0, 1], bad: ["1", null, true] },
  early_stopping: {
    values: [false, true],
    bad: ["never", 1],
    beside: { stop_token_ids: ENDS, length_penalty: 3 },
  },
  best_of: { values: [4, 6, 8], bad: [0, 9, 2.5, "5"] },
  repetition_penalty: { values: [0.5, 1, 2], bad: [0, -1, "1.2"] },
  frequency_penalty: { values: [-2, 0, 2], bad: [-2.1, 2.1, "1"] },
  presence_penalty: { values: [-2, 0, 2], bad: [-2.1, 2.1, "1"] },
  logit_bias: { values: [{}, { 3: 5 }, { 3: -100, 4: 100 }], bad: [[], { x: 1 }, { 3: 101 }, { 3: "1" }] },
  ignore_eos: { values: [false, true], bad: [0, "true"], beside: { logit_bias: { [END]: 50 } } },
  stop_token_ids: { values: [[], ENDS], bad: [[-1], 5, [1.5], new Array(65).fill(1)] },
  min_new_tokens: { values: [0, 8], bad: [-1, 1.5, "3"], beside: { stop_token_ids: ENDS } },
  logprobs: { values: [0, 1, 20], bad: [-1, 21, 0.5, true] },
  seed: { values: [0, 1, 4_294_967_295], bad: [-2, 4_294_967_296, 0.5, "1"] },
};

/** Parameters that affect texts only. This model has no tokenizer, so `further-edges.test.ts` tests them. */
const TEXTUAL = ["input", "stop", "include_stop", "echo"];
/** Parameters that every mode reads. The n-gram ban is one of them if it is sent. */
const ALWAYS = [
  "max_length",
  "max_new_tokens",
  "num_return_sequences",
  "mode",
  "no_repeat_ngram_size",
  "truncate",
  "repetition_penalty",
  "frequency_penalty",
  "presence_penalty",
  "logit_bias",
  "ignore_eos",
  "stop_token_ids",
  "min_new_tokens",
  "logprobs",
];
const DRAWN = ["min_p", "best_of", "seed", ...ALWAYS];
const READS: Record<Mode, readonly string[]> = {
  "sample-top-p": ["top_p", "top_k", ...DRAWN],
  "sample-top-k": ["top_k", ...DRAWN],
  sample: ["top_p", "top_k", "temperature", ...DRAWN],
  beam: ["num_beams", "length_penalty", "early_stopping", ...ALWAYS],
  greedy: ALWAYS,
};
const MODE_NAMES = Object.keys(READS) as Mode[];

/** A request in which every filter has an effect. */
function requestOf(mode: Mode, changes: object): Record<string, unknown> {
  const base = { mode, prompt_token_ids: [1, 2, 3, 4, 5], num_return_sequences: 4, seed: 5 };
  const length = "max_new_tokens" in changes ? {} : { max_length: 25 };
  return { ...base, ...length, top_p: 0.97, top_k: 30, temperature: 1.5, num_beams: 5, ...changes };
}

async function outputOf(request: object): Promise<string> {
  const { sequences } = await generator.generate(parseGenerationParams(request, options));
  return JSON.stringify(sequences);
}

it("the table names every parameter and every mode", () => {
  const known = Object.keys(requestSchema(options).shape).filter((name) => !TEXTUAL.includes(name));
  assert.deepEqual(Object.keys(PARAMETERS).sort(), known.sort());
  assert.deepEqual(Object.keys(MODES).sort(), [...MODE_NAMES].sort());
});

for (const mode of MODE_NAMES) {
  describe(`mode ${mode}`, () => {
    for (const [name, { values, bad, beside }] of Object.entries(PARAMETERS)) {
      const reads = READS[mode].includes(name);
      it(reads ? `reads ${name}` : `does not read ${name}`, async () => {
        const outputs = await Promise.all(
          values.map((value) => outputOf(requestOf(mode, { ...beside, [name]: value }))),
        );
        const different = new Set(outputs).size;
        assert.equal(
          different,
          reads ? values.length : 1,
          `${values.length} values gave ${different} outputs`,
        );
      });

      it(`checks the range of ${name}`, () => {
        for (const value of bad) {
          assert.throws(
            () => parseGenerationParams(requestOf(mode, { [name]: value }), options),
            (error) =>
              error instanceof GptError &&
              error.code === "invalid_field" &&
              error.message.startsWith(`${name} must`),
            `${name} ${JSON.stringify(value)}`,
          );
        }
      });
    }

    it("gives the same texts for the same request, and without a seed takes a random one", async () => {
      const request = requestOf(mode, { seed: 4_000_000_000 });
      const { seed: _, ...unseeded } = request;
      for (const other of [request, unseeded, { ...unseeded, seed: -1 }, { ...unseeded, seed: null }]) {
        assert.equal(await outputOf(other), await outputOf(request));
      }
    });
  });
}

describe("defaults", () => {
  it("are those of the contract", async () => {
    const sent = {
      mode: "sample-top-p",
      top_p: 0.92,
      top_k: 50,
      num_return_sequences: 3,
      max_length: CONTEXT,
    };
    const prompt_token_ids = [1, 2, 3];
    assert.equal(await outputOf({ prompt_token_ids }), await outputOf({ prompt_token_ids, ...sent }));
    const sample = { mode: "sample", prompt_token_ids };
    const beam = { mode: "beam", prompt_token_ids };
    assert.equal(
      await outputOf(sample),
      await outputOf({ ...sample, temperature: 0.7, top_k: 50, top_p: 0.92 }),
    );
    assert.equal(await outputOf(beam), await outputOf({ ...beam, num_beams: 5, no_repeat_ngram_size: 2 }));
  });

  it("ban no n-grams outside beam mode", async () => {
    for (const mode of MODE_NAMES.filter((name) => name !== "beam")) {
      const request = requestOf(mode, {});
      assert.equal(await outputOf(request), await outputOf({ ...request, no_repeat_ngram_size: 0 }), mode);
    }
  });
});

describe("parameters together", () => {
  const refused = (request: object, message: RegExp) =>
    assert.throws(() => parseGenerationParams(request, options), { code: "invalid_field", message });

  it("max_length and max_new_tokens exclude each other in every mode", () => {
    for (const mode of MODE_NAMES) {
      refused({ input: "", mode, max_length: 5, max_new_tokens: 5 }, /exclude each other/);
    }
  });

  it("beam mode returns at most num_beams sequences, the other modes as many as asked for", () => {
    const request = { input: "", num_beams: 2, num_return_sequences: 3 };
    refused({ ...request, mode: "beam" }, /num_return_sequences must be at most num_beams \(2\)/);
    for (const mode of MODE_NAMES.filter((name) => name !== "beam")) {
      assert.equal(parseGenerationParams({ ...request, mode }, options).decoding.numReturnSequences, 3);
    }
  });
});
