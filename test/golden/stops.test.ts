// Compares texts that stop strings end with those of transformers on the shipped model: their tokens, of which the last is not
// cut, and the scores of beams. test/fixtures/generation/stops.json names the command that made it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, it } from "node:test";
import { packageRoot } from "../../src/generator/model-directory.ts";
import { parseGenerationParams } from "../../src/request/params.ts";
import { shippedGenerator } from "../support/shipped-generator.ts";

interface Case {
  readonly input: string;
  readonly stop: readonly string[];
  readonly num_beams: number;
  readonly new_tokens: readonly (readonly number[])[];
  readonly scores?: readonly number[];
}

const file = join(packageRoot(), "test/fixtures/generation/stops.json");
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: readonly Case[] };
const generator = await shippedGenerator();
after(() => generator.close());

it("stop strings end greedy and beam searches where transformers ends them", async () => {
  const options = { contextLength: 256, randomSeed: () => 1 };
  const answers = cases.map(async ({ input, stop, num_beams, new_tokens }) => {
    const mode = num_beams === 1 ? { mode: "greedy" } : { mode: "beam", num_beams };
    const body = { input, stop, ...mode, max_new_tokens: 20, num_return_sequences: new_tokens.length };
    return generator.generate(parseGenerationParams(body, options));
  });
  let numStopped = 0;
  for (const [i, answer] of answers.entries()) {
    const { sequences, promptTokens } = await answer;
    const { new_tokens: expected, scores, ...request } = cases[i] as Case;
    const what = JSON.stringify(request);
    const own = sequences.map(({ tokenIds }) => tokenIds.slice(promptTokens));
    assert.deepEqual(own, expected, what);
    for (const [j, { score, stop }] of sequences.entries()) {
      if (stop !== undefined) numStopped++;
      if (scores) assert.ok(Math.abs((score as number) - (scores[j] as number)) < 1e-4, what);
    }
  }
  assert.ok(numStopped > 60, `${numStopped} texts were stopped`);
});
