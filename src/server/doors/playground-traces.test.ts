// The playground's traces with the shipped model: they are correct, and do not change the generated texts.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { post } from "../../../test/support/front.ts";
import { aPlayground, asPage, cookieOf } from "../../../test/support/playground.ts";
import { shippedGenerator } from "../../../test/support/shipped-generator.ts";
import type {
  EndEvent,
  NextToken,
  PlaygroundEvent,
  Scored,
  TracedToken,
} from "../../dialects/playground/events.ts";
import type { ScoredText } from "../../request/answer.ts";

const generator = await shippedGenerator();
after(() => generator.close());
const front = aPlayground({}, { generators: new Map([["gpt-2", generator]]) });
const cookie = await cookieOf(front);

const INPUT = "naïve 日本: the old man";
const MODES = {
  greedy: { mode: "greedy", num_return_sequences: 2 },
  "top-p": { mode: "sample-top-p", num_return_sequences: 3, top_p: 0.8 },
  "top-k": { mode: "sample-top-k", num_return_sequences: 2, top_k: 20 },
  "all filters": {
    mode: "sample",
    num_return_sequences: 2,
    temperature: 1.3,
    min_p: 0.01,
    repetition_penalty: 1.2,
  },
  beam: { mode: "beam", num_beams: 4, num_return_sequences: 2 },
  "stop strings": { mode: "sample", num_return_sequences: 3, stop: ["e t", "."], temperature: 1 },
  "the best of several": { mode: "sample", num_return_sequences: 2, best_of: 4, temperature: 1 },
} as const;

async function ask<T>(url: string, body: object): Promise<T> {
  const response = await asPage(front.app, cookie, { url, body });
  assert.equal(response.statusCode, 200, response.body);
  return response.json();
}

async function events(body: object): Promise<PlaygroundEvent[]> {
  const response = await asPage(front.app, cookie, { url: "/playground/generate", body });
  assert.equal(response.statusCode, 200, response.body);
  const blocks = response.body.split("\n\n").filter((block) => block.startsWith("data: "));
  return blocks.map((block) => JSON.parse(block.slice("data: ".length)));
}

for (const [name, mode] of Object.entries(MODES)) {
  test(`${name}: the tokens of the trace make the texts that SageMaker's route answers`, async () => {
    const body = { input: INPUT, max_new_tokens: 16, seed: 4, ...mode };
    const all = await events(body);
    const end = all.at(-1) as EndEvent;
    assert.equal(end.type, "end");
    const plain = await post(front.app, body);
    assert.deepEqual(end.answer, plain.json());
    assert.deepEqual(
      end.sequences.map(({ text }) => text),
      plain.json(),
    );

    const told: TracedToken[][] = end.sequences.map(() => []);
    for (const event of all) if (event.type === "tokens") told[event.sequence]?.push(...event.tokens);
    const scored = await post(front.app, { ...body, logprobs: 10 });
    for (const [i, answer] of (scored.json() as ScoredText[]).entries()) {
      const { rest, text } = end.sequences[i] as EndEvent["sequences"][number];
      const tokens = [...(told[i] ?? []), ...rest];
      const prompt = all.find((event) => event.type === "start");
      const joined = [...(prompt?.prompt ?? []), ...tokens].map((token) => token.text).join("");
      assert.equal(joined, text);
      const numPrompt = prompt?.prompt.length ?? 0;
      // Exactly the log-probabilities that other callers get.
      assert.deepEqual(
        tokens.map(({ logprob }) => logprob),
        answer.token_logprobs.slice(numPrompt),
      );
      for (const { rank, alternatives, name: token, choice } of tokens) {
        if (rank !== undefined && rank <= 10) assert.equal(alternatives?.[rank - 1]?.name, token);
        assert.equal(choice === undefined, mode.mode === "beam");
      }
    }
  });
}

test("the alternatives that the filters left are those that can be drawn", async () => {
  const body = {
    input: INPUT,
    max_new_tokens: 10,
    seed: 9,
    mode: "sample",
    top_k: 5,
    top_p: 1,
    temperature: 0.9,
  };
  const tokens = (await events(body)).flatMap((event) => (event.type === "tokens" ? event.tokens : []));
  assert.ok(tokens.length > 20);
  for (const { choice, alternatives = [], rank = 0 } of tokens) {
    assert.deepEqual(
      choice?.filters.map(({ parameter, left }) => [parameter, left]),
      [
        ["temperature", generator.model.vocabSize],
        ["top_k", 5],
      ],
    );
    const left = alternatives.filter(({ probability = 0 }) => probability > 0);
    assert.equal(left.length, 5);
    assert.ok(rank <= 5);
    const sum = left.reduce((total, { probability = 0 }) => total + probability, 0);
    assert.ok(Math.abs(sum - 1) < 1e-9, `${sum}`);
  }
});

test("a text goes on from any of its tokens as it did before", async () => {
  const body = { max_new_tokens: 12, seed: 1, mode: "greedy", num_return_sequences: 1 };
  const end = (await events({ ...body, input: INPUT })).at(-1) as EndEvent;
  const { tokenIds } = end.sequences[0] as EndEvent["sequences"][number];
  const cut = tokenIds.slice(0, -5);
  const again = (await events({ ...body, max_new_tokens: 5, prompt_token_ids: cut })).at(-1) as EndEvent;
  assert.deepEqual(again.sequences[0]?.tokenIds, tokenIds);
});

test("a score is the sum of its tokens' log-probabilities, as the contract's route tells them", async () => {
  const scored = await ask<Scored>("/playground/score", { input: INPUT });
  const plain = await post(front.app, {
    input: INPUT,
    max_new_tokens: 0,
    logprobs: 10,
    num_return_sequences: 1,
  });
  const [{ token_logprobs }] = plain.json() as [ScoredText];
  assert.deepEqual(
    scored.tokens.map(({ logprob }) => logprob),
    token_logprobs,
  );
  assert.equal(scored.tokens.map(({ text }) => text).join(""), INPUT);
  const sum = token_logprobs.reduce<number>((total, one) => total + (one ?? 0), 0);
  assert.equal(scored.logprob, sum);
  assert.equal(scored.perplexity, Math.exp(-sum / (token_logprobs.length - 1)));
  assert.equal((await ask<Scored>("/playground/score", { prompt_token_ids: [5] })).perplexity, null);
});

test("the next token's logits are those that a request draws from", async () => {
  const next = await ask<NextToken>("/playground/next", { input: INPUT, repetition_penalty: 1.5 });
  const bytes = Buffer.from(next.logits, "base64");
  const logits = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
  assert.equal(logits.length, generator.model.vocabSize);
  const total = Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0));
  const [drawn] = (
    await events({ input: INPUT, max_new_tokens: 1, mode: "greedy", repetition_penalty: 1.5 })
  ).flatMap((event) =>
    event.type === "tokens" ? event.tokens : event.type === "end" ? (event.sequences[0]?.rest ?? []) : [],
  );
  assert.equal(next.top[0]?.id, drawn?.alternatives?.[0]?.id);
  const own = (logits[drawn?.id ?? 0] as number) - total;
  assert.ok(Math.abs(own - (drawn?.logprob ?? 0)) < 1e-6);
  for (const [id, logit] of next.changed) {
    const raw = logits[id] as number;
    assert.equal(logit, Math.fround(raw < 0 ? raw * 1.5 : raw / 1.5));
  }
  assert.deepEqual(new Set(next.changed.map(([id]) => id)), new Set(next.prompt.map(({ id }) => id)));
});
