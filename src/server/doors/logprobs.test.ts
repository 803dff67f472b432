// Log-probabilities and stop strings on the runtime door, with the shipped model. Whole and streamed answers are the same.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { joinedParts } from "../../../test/support/event-stream.ts";
import { aFront, post, STREAM_PATH } from "../../../test/support/front.ts";
import { shippedGenerator } from "../../../test/support/shipped-generator.ts";
import type { ScoredText } from "../../request/answer.ts";

const generator = await shippedGenerator();
after(() => generator.close());
const { app } = aFront({}, { generators: new Map([["gpt-2", generator]]) });

const INPUT = "naïve café — 日本 said the";
const LINES = { path: STREAM_PATH, headers: { "x-amzn-sagemaker-accept": "application/jsonlines" } };
type Line = Omit<ScoredText, "finish_reason"> & { readonly index: number };

async function whole(body: object): Promise<ScoredText[]> {
  const response = await post(app, body);
  assert.equal(response.statusCode, 200, response.body);
  return response.json();
}

/** The texts of a stream: its lines joined by index. */
async function streamed(body: object): Promise<Omit<ScoredText, "finish_reason">[]> {
  const response = await post(app, body, LINES);
  assert.equal(response.statusCode, 200, response.body);
  const lines = joinedParts(response.rawPayload).trimEnd().split("\n");
  const joined: Omit<ScoredText, "finish_reason">[] = [];
  for (const line of lines) {
    const { index, ...part } = JSON.parse(line) as Line;
    const sofar = joined[index];
    joined[index] = sofar
      ? {
          text: sofar.text + part.text,
          token_ids: [...sofar.token_ids, ...part.token_ids],
          tokens: [...sofar.tokens, ...part.tokens],
          token_logprobs: [...sofar.token_logprobs, ...part.token_logprobs],
          top_logprobs: [...sofar.top_logprobs, ...part.top_logprobs],
          text_offset: [...sofar.text_offset, ...part.text_offset],
        }
      : part;
  }
  return joined;
}

for (const [name, body] of Object.entries({
  greedy: { mode: "greedy", num_return_sequences: 2 },
  "sampling with stop strings": {
    mode: "sample",
    num_return_sequences: 4,
    stop: ["e t", ".", " a"],
    seed: 3,
  },
  "stop strings that stay": { mode: "sample", num_return_sequences: 3, stop: ["e", "."], include_stop: true },
  "beam search": { mode: "beam", num_return_sequences: 3, stop: "," },
  "no echo": { mode: "greedy", num_return_sequences: 1, echo: false },
  "no new tokens": { max_new_tokens: 0, num_return_sequences: 1 },
  "no text": { input: "", max_new_tokens: 0, num_return_sequences: 1 },
  "texts that end at once": {
    input: "",
    mode: "greedy",
    num_return_sequences: 2,
    logit_bias: { 50256: 100 },
  },
})) {
  test(`with logprobs, ${name} streams the same as the whole answer`, async () => {
    const request = { input: INPUT, seed: 1, max_new_tokens: 20, logprobs: 2, ...body };
    const answers = await whole(request);
    const expected = answers.map(({ finish_reason, token_ids, tokens, ...rest }) => {
      // The token that ended a text is in no line, because it has no text.
      return { ...rest, tokens, numTokens: tokens.length };
    });
    const lines = await streamed(request);
    assert.deepEqual(
      lines.map(({ token_ids, ...rest }) => ({ ...rest, numTokens: rest.tokens.length })),
      expected,
    );
    for (const { tokens, token_logprobs: own, top_logprobs: top, text_offset: offsets } of answers) {
      assert.deepEqual([own.length, top.length, offsets.length], new Array(3).fill(tokens.length));
      for (const [i, value] of own.entries()) {
        if (value !== null) assert.equal(top[i]?.[tokens[i] as string], value);
      }
    }
  });
}

test("without logprobs a text that is empty has a line too, so that its reader can count the texts", async () => {
  const body = { input: "a", echo: false, max_new_tokens: 0, num_return_sequences: 2 };
  const lines = joinedParts((await post(app, body, LINES)).rawPayload);
  assert.equal(lines, '{"index":0,"text":""}\n{"index":1,"text":""}\n');
});

test("offsets count characters from the beginning of the input, with and without echo", async () => {
  const request = { input: INPUT, mode: "greedy", num_return_sequences: 1, max_new_tokens: 9, logprobs: 0 };
  const [echoed] = (await whole(request)) as [ScoredText];
  const [alone] = (await whole({ ...request, echo: false })) as [ScoredText];
  assert.equal(echoed.text, INPUT + alone.text);
  assert.deepEqual(echoed.text_offset.slice(-9), alone.text_offset);
  assert.equal(alone.text_offset[0], [...INPUT].length);
  const characters = [...echoed.text];
  for (const [i, name] of echoed.tokens.entries()) {
    if (name.startsWith("bytes:")) continue;
    const begin = echoed.text_offset[i] as number;
    assert.equal(characters.slice(begin, begin + [...name].length).join(""), name);
  }
});

test("parameters whose result needs complete texts are refused for a stream", async () => {
  const refused = async (body: object, message: RegExp): Promise<void> => {
    const response = await post(app, { input: "a", ...body }, { path: STREAM_PATH });
    assert.equal(response.statusCode, 424);
    assert.match(response.json().OriginalMessage, message);
  };
  await refused({ logprobs: 1 }, /logprobs needs the type application\/jsonlines/);
  await refused(
    { mode: "sample", num_return_sequences: 1, best_of: 2 },
    /best_of must equal num_return_sequences/,
  );
});
