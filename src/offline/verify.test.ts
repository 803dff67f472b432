import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../test/support/checkpoints.ts";
import { packageRoot } from "../generator/model-directory.ts";
import { loadModel } from "../model/loading/load-model.ts";
import { loadTokenizer } from "../tokenizer/tokenizer-files.ts";
import { GOLDEN_SETS, type GoldenOutput, goldenSetFor } from "./golden-outputs.ts";
import { score } from "./score.ts";
import { verifyOutput } from "./verify.ts";

const directory = temporaryDirectory();
const path = writeCheckpoint(join(directory.path, "model"), { seed: 7, V: 50257, P: 32, C: 8, L: 1 });
const { backend } = loadModel(path, { precision: "f32", kvCacheMb: 1, threads: 1 });
after(async () => {
  await backend.close();
  directory.remove();
});
const tokenizer = await loadTokenizer(join(packageRoot(), "models/tiny"));
const model = { backend, tokenizer, eosTokenIds: [50256] };

describe("verification", () => {
  const base: GoldenOutput = { source: "this test", prompt: "The dog", maxNewTokens: 4 };
  const prompt = tokenizer.encode(base.prompt);
  /** The output of this model: greedy search, computed from the definition. */
  const greedy = [...prompt];
  for (let i = 0; i < 4; i++) {
    const { lastLogits } = score(backend, greedy);
    greedy.push(lastLogits.indexOf(Math.max(...lastLogits)));
  }
  const text = tokenizer.decode(greedy.slice(prompt.length));
  const logprobs = score(backend, greedy).logprobs.slice(prompt.length - 1);

  it("finds no difference where there is none", () => {
    const golden = { ...base, continuations: [text], tokenIds: greedy, logprobs, tolerance: 1e-5 };
    assert.deepEqual(verifyOutput(model, golden), []);
    assert.deepEqual(
      verifyOutput(model, { ...base, continuations: [text.slice(0, -1)], isPrefix: true }),
      [],
    );
    const { maxNewTokens: _, ...rest } = base;
    assert.deepEqual(verifyOutput(model, { ...rest, maxLength: greedy.length, tokenIds: greedy }), []);
    const logits = greedy.slice(prompt.length).map((id, i) => {
      return score(backend, greedy.slice(0, prompt.length + i)).lastLogits[id] as number;
    });
    assert.deepEqual(verifyOutput(model, { ...base, logits, tolerance: 1e-5 }), []);
  });

  it("says what differs", () => {
    const differences = (golden: Partial<GoldenOutput>) => verifyOutput(model, { ...base, ...golden });
    assert.match(differences({ continuations: [`${text}!`] })[0] ?? "", /^expected ".*!", got "/);
    assert.match(differences({ continuations: [text.slice(0, -1)] })[0] ?? "", /^expected/);
    assert.match(
      differences({ tokenIds: [...greedy.slice(0, -1), 1] })[0] ?? "",
      /^expected tokens .* 1, got/,
    );
    assert.equal(differences({ logprobs: logprobs.map((p) => p + 0.02), tolerance: 0.01 }).length, 4);
    assert.match(
      differences({ logits: [1e6], tolerance: 1 })[0] ?? "",
      /^logit 1 is .*, expected 1000000 ± 1$/,
    );
    assert.match(
      differences({ numBeams: 2, continuations: ["a", "b"] })[1] ?? "",
      /^text 2: expected "b", got/,
    );
  });
});

describe("the public outputs", () => {
  it("are found by the shape of a checkpoint", () => {
    for (const set of GOLDEN_SETS) assert.equal(goldenSetFor({ ...set.shape }), set);
    const gpt2 = GOLDEN_SETS[0]?.shape;
    assert.ok(gpt2);
    assert.equal(goldenSetFor({ ...gpt2, vocabSize: 50258 }), undefined);
  });

  // The shipped model has GPT-2's vocabulary, so texts, token ids and lengths can be compared with each other.
  for (const { name, shape, outputs } of GOLDEN_SETS.filter((set) => set.shape.vocabSize === 50257)) {
    it(`of ${name} are consistent in themselves`, () => {
      for (const golden of outputs) {
        const { prompt, maxLength, maxNewTokens, continuations = [], tokenIds, logprobs, logits } = golden;
        assert.equal((maxLength === undefined) !== (maxNewTokens === undefined), true);
        const promptLength = tokenizer.encode(prompt).length;
        const total = maxLength ?? promptLength + (maxNewTokens ?? 0);
        assert.ok(total <= shape.contextLength);
        for (const text of continuations) {
          const ids = [...tokenizer.encode(prompt), ...tokenizer.encode(text)];
          // A model generates two tokens of one line break each, where the tokenizer would use one token for both.
          const breaks = text.match(/\n+$/)?.[0].length ?? 0;
          const fits = golden.isPrefix
            ? ids.length <= total
            : ids.length <= total && ids.length >= total - breaks;
          assert.ok(fits, `${JSON.stringify(prompt + text)}: ${ids.length} tokens, not ${total}`);
        }
        if (tokenIds) {
          assert.equal(tokenIds.length, total);
          assert.deepEqual(tokenIds.slice(0, promptLength), tokenizer.encode(prompt));
        }
        for (const numbers of [logprobs, logits])
          assert.ok(!numbers || numbers.length === total - promptLength);
        if (logprobs || logits) assert.ok((golden.tolerance ?? 0) > 0);
        assert.ok(continuations.length <= (golden.numBeams ?? 1));
      }
    });
  }
});
