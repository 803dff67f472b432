import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { anEngine } from "../../test/support/engines.ts";
import type { DecodingParams } from "../decoding/decoding-params.ts";
import type { TextPiece } from "../request/generation.ts";
import { loadTokenizer } from "../tokenizer/tokenizer-files.ts";
import { loadGenerator } from "./load-generator.ts";
import { packageRoot, resolveModelDirectory } from "./model-directory.ts";
import { TextGenerator } from "./text-generator.ts";

const decoding: DecodingParams = {
  maxLength: 12,
  numReturnSequences: 2,
  seed: 5,
  noRepeatNgramSize: 0,
  search: { kind: "sample", temperature: 1, topK: 50, topP: 0.92 },
};
const facts = {
  name: "tiny",
  precision: "f32",
  kernels: "none",
  threads: 1,
  parameters: 1,
  vocabSize: 50257,
  contextLength: 256,
};

/** A generator whose engine answers with the prompt and some more tokens, and records its requests. */
async function withEcho(added: readonly number[]) {
  const asked: { prompt: readonly number[]; maxLength: number }[] = [];
  const engine = anEngine((prompt, { maxLength }) => {
    asked.push({ prompt, maxLength });
    const hypothesis = { tokenIds: [...prompt, ...added], finishReason: "length" as const };
    return { hypotheses: [hypothesis, hypothesis] };
  });
  const tokenizer = await loadTokenizer(join(packageRoot(), "models", "tiny"));
  return { generator: new TextGenerator(engine, facts, tokenizer, 50256), asked };
}

describe("a text generator", () => {
  it("submits the prompt's tokens and returns texts without special tokens", async () => {
    const { generator, asked } = await withEcho([0, 50256]);
    const generation = await generator.generate({ input: "Hello<|endoftext|> world", decoding });
    assert.deepEqual(asked, [{ prompt: [15496, 50256, 995], maxLength: 12 }]);
    assert.equal(generation.sequences[0]?.text, "Hello world!");
    assert.equal(generation.promptTokens, 3);
    assert.equal(generation.generatedTokens, 2); // Two equal sequences, which were computed once.
    assert.equal(generation.seed, 5);
  });

  it("starts an empty prompt from the end-of-text token", async () => {
    const { generator, asked } = await withEcho([0]);
    const { sequences } = await generator.generate({ input: "", decoding });
    assert.deepEqual(asked[0]?.prompt, [50256]);
    assert.equal(sequences[0]?.text, "!");
  });

  it("counts max_new_tokens from the prompt", async () => {
    const { generator, asked } = await withEcho([]);
    await generator.generate({ input: "Hello world", maxNewTokens: 7, decoding });
    assert.equal(asked[0]?.maxLength, 9);
  });

  it("refuses what does not fit, with the numbers", async () => {
    const { generator } = await withEcho([]);
    const refused = (params: object, code: string, message: RegExp) =>
      assert.rejects(generator.generate({ decoding, ...params }), { code, message });
    const long = " a".repeat(12);
    await refused(
      { input: long },
      "prompt_too_long",
      /input has 12 tokens and max_length is 12: max_length counts/,
    );
    await refused(
      { input: long, maxNewTokens: 250 },
      "prompt_too_long",
      /12 tokens and 250 new ones make 262 tokens/,
    );
    await refused(
      { input: "x".repeat(1e6) },
      "prompt_too_long",
      /input has more than 256 tokens, and the model takes no more/,
    );
    await refused({ promptTokenIds: [50257] }, "invalid_field", /holds token 50257, .* ends at 50256/);
    const bare = new TextGenerator(
      anEngine(() => ({ hypotheses: [] })),
      facts,
      undefined,
      50256,
    );
    await assert.rejects(bare.generate({ input: "x", decoding }), { message: /tiny has no tokenizer files/ });
  });
});

describe("the embedded model in its own thread", () => {
  it("same seed, same text; another seed, another text; many at once as one by one; aborts are cancelled", async () => {
    const options = {
      name: "tiny",
      precision: "f32",
      kvCacheMb: 16,
      queueRequestsMax: 4,
      threads: 2,
    } as const;
    const generator = await loadGenerator({ model: resolveModelDirectory("tiny"), ...options });
    const texts = async (seed: number): Promise<string[]> => {
      const { sequences } = await generator.generate({ input: "The sea", decoding: { ...decoding, seed } });
      return sequences.map(({ text }) => text);
    };
    const alone = [await texts(1), await texts(2), await texts(3)];
    assert.notDeepEqual(alone[0], alone[1]);
    for (const text of alone.flat()) assert.ok(text.startsWith("The sea"));
    assert.deepEqual(await Promise.all([texts(1), texts(2), texts(3)]), alone);

    const pieces: TextPiece[] = [];
    const streamed = await generator.generate(
      { input: "The sea", decoding },
      { onPiece: (piece) => pieces.push(piece), client: "someone" },
    );
    assert.deepEqual(
      streamed.sequences.map(({ text }) => text),
      [0, 1].map((i) => pieces.flatMap(({ index, text }) => (index === i ? [text] : [])).join("")),
    );
    assert.equal(generator.health, "ready");
    const { tokensGenerated, promptTokens, restarts } = generator.stats();
    assert.equal(promptTokens, 7 * 2);
    assert.ok(
      tokensGenerated >= 7 * 2 && tokensGenerated <= 7 * 2 * 10,
      `${tokensGenerated} tokens generated`,
    );
    assert.equal(restarts, 0);

    const controller = new AbortController();
    const long = { input: "The sea", decoding: { ...decoding, maxLength: 256 } };
    const aborted = generator.generate(long, { signal: controller.signal });
    controller.abort();
    await assert.rejects(aborted, { code: "cancelled" });
    const crowd = [1, 2, 3, 4, 5].map(() => generator.generate(long));
    await assert.rejects(Promise.all(crowd), { code: "queue_full" });
    await generator.close();
    await assert.rejects(texts(1), { code: "cancelled" });
  });

  it("reports what is wrong with a model", async () => {
    const options = { name: "x", precision: "f32", kvCacheMb: 16, queueRequestsMax: 4, threads: 1 } as const;
    await assert.rejects(loadGenerator({ model: "/nowhere", ...options }), { code: "invalid_checkpoint" });
    assert.throws(() => resolveModelDirectory("nowhere"), {
      message: 'model "nowhere" is neither a directory nor a model that is shipped',
    });
  });
});
