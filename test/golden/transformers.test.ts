// Compares with transformers' answers for random checkpoints and requests: token ids, their order, beam scores, logits and
// log-probabilities. `conformance/generation/run.sh fixtures` writes the file (test/fixtures/generation/generation.json). It has
// no case in which a difference below 1e-3 would decide about a token.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { DecodingParams } from "../../src/decoding/decoding-params.ts";
import { packageRoot } from "../../src/generator/model-directory.ts";
import { loadModel } from "../../src/model/loading/load-model.ts";
import { score } from "../../src/offline/score.ts";
import { parseGenerationParams } from "../../src/request/params.ts";
import { type CheckpointOptions, temporaryDirectory, writeCheckpoint } from "../support/checkpoints.ts";
import { generateAll } from "../support/inline-engine.ts";

interface Case {
  readonly prompt: readonly number[];
  readonly max_length: number;
  /** 0: greedy. */
  readonly num_beams: number;
  readonly no_repeat_ngram_size: number;
  readonly num_return_sequences: number;
  readonly early_stopping?: boolean;
  readonly length_penalty?: number;
  /** Other parameters, with their names in a request. */
  readonly extras: Readonly<Record<string, unknown>>;
  readonly new_tokens: readonly (readonly number[])[];
  readonly scores?: readonly number[];
}

interface Text {
  readonly tokens: readonly number[];
  readonly logprobs: readonly number[];
  /** The first eight logits after the last token. */
  readonly last_logits: readonly number[];
}

interface Entry {
  readonly checkpoint: CheckpointOptions;
  readonly cases: readonly Case[];
  readonly texts: readonly Text[];
}

const file = join(packageRoot(), "test/fixtures/generation/generation.json");
const { entries } = JSON.parse(readFileSync(file, "utf8")) as { entries: readonly Entry[] };

function decodingOf({ prompt, num_beams, extras, ...request }: Case): DecodingParams {
  const { max_length, no_repeat_ngram_size, num_return_sequences, early_stopping, length_penalty } = request;
  const mode = num_beams === 0 ? { mode: "greedy" } : { mode: "beam", num_beams };
  const search = { ...mode, max_length, no_repeat_ngram_size, num_return_sequences };
  const body = { prompt_token_ids: prompt, ...search, early_stopping, length_penalty, ...extras };
  const options = { contextLength: 2 ** 20, randomSeed: () => 1, allowTokenIds: true };
  return parseGenerationParams(JSON.parse(JSON.stringify(body)), options).decoding;
}

function assertClose(actual: readonly number[], expected: readonly number[], what: string): void {
  assert.equal(actual.length, expected.length, what);
  for (const [i, value] of expected.entries()) {
    const error = Math.abs((actual[i] as number) - value);
    assert.ok(
      error <= 2e-4 * Math.max(1, Math.abs(value)),
      `${what}, entry ${i}: ${actual[i]} is not ${value}`,
    );
  }
}

const directory = temporaryDirectory();
after(() => directory.remove());

for (const [number, { checkpoint, cases, texts }] of entries.entries()) {
  describe(`checkpoint ${number}: ${JSON.stringify(checkpoint)}`, () => {
    const path = writeCheckpoint(join(directory.path, String(number)), checkpoint);
    const { backend, config } = loadModel(path, { precision: "f32", kvCacheMb: 1, threads: 1 });
    after(() => backend.close());

    it("generates the same token ids, in the same order, with the same scores", () => {
      const requests = cases.map((c) => ({ prompt: c.prompt, decoding: decodingOf(c) }));
      const answers = generateAll(backend, config.eosTokenIds, requests);
      for (const [i, c] of cases.entries()) {
        const hypotheses = answers[i] ?? [];
        const newTokens = hypotheses.map((h) => h.tokenIds.slice(c.prompt.length));
        assert.deepEqual(newTokens, c.new_tokens, JSON.stringify(c));
        const scores = hypotheses.flatMap((h) => h.score ?? []);
        assertClose(scores, c.scores ?? [], `scores of ${JSON.stringify(c)}`);
      }
    });

    it("scores texts alike", () => {
      for (const { tokens, logprobs, last_logits: logits } of texts) {
        const found = score(backend, tokens);
        assertClose(found.logprobs, logprobs, "log-probabilities");
        assertClose([...found.lastLogits.slice(0, logits.length)], logits, "logits");
      }
    });
  });
}
