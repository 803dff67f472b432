// The clients of JavaScript: OpenAI's own, LangChain, the AI SDK with both of its providers, Hugging Face's. The server's address and a
// bearer token come in the environment, as for the Python programs beside this one.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { InferenceClient } from "@huggingface/inference";
import { OpenAI as LangChainOpenAI } from "@langchain/openai";
import { generateText, streamText } from "ai";
import OpenAI from "openai";

const PROMPT = "The old man looked at the sea and";
const GREEDY = ' said, "I am not a man, but I am';
const { GPT2_API_URL: base, GPT2_API_TOKEN: token } = process.env;
const apiKey = token ?? "unused";
const baseURL = `${base}/v1`;
const greedy = { model: "gpt-2", prompt: PROMPT, max_tokens: 12, temperature: 0 };

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });

/** The pieces of an asynchronous iterable, joined. */
async function joined(pieces, textOf) {
  let text = "";
  for await (const piece of pieces) text += textOf(piece);
  return text;
}

const checks = {
  "openai (JS): whole, seeds, lists, logprobs": async () => {
    const answer = await client.completions.create(greedy);
    assert.equal(answer.choices[0].text, GREEDY);
    assert.equal(answer.usage.total_tokens, 20);
    const drawn = { ...greedy, temperature: 0.8, seed: 7, n: 2 };
    const [first, second] = [await client.completions.create(drawn), await client.completions.create(drawn)];
    assert.deepEqual(first.choices, second.choices);
    const prompts = [PROMPT, "Once"];
    const listed = await client.completions.create({ ...greedy, prompt: prompts, logprobs: 3, echo: true });
    assert.deepEqual(
      listed.choices.map(({ text, logprobs }) => [text, logprobs.token_logprobs[0]]),
      listed.choices.map(({ logprobs }) => [logprobs.tokens.join(""), null]),
    );
  },

  "openai (JS): streams": async () => {
    const stream = await client.completions.create({
      ...greedy,
      stream: true,
      stream_options: { include_usage: true },
    });
    let usage;
    const text = await joined(stream, (chunk) => {
      usage ??= chunk.usage;
      return chunk.choices[0]?.text ?? "";
    });
    assert.equal(text, GREEDY);
    assert.equal(usage.completion_tokens, 12);
  },

  "openai (JS): errors and models": async () => {
    const models = await client.models.list();
    assert.deepEqual(
      models.data.map(({ id }) => id),
      ["gpt-2"],
    );
    const tooLong = { ...greedy, prompt: " a".repeat(600) };
    await assert.rejects(client.completions.create(tooLong), {
      status: 400,
      code: "context_length_exceeded",
    });
    await assert.rejects(client.completions.create({ ...greedy, model: "none" }), OpenAI.NotFoundError);
    const messages = [{ role: "user", content: "a" }];
    await assert.rejects(client.chat.completions.create({ model: "gpt-2", messages }), OpenAI.NotFoundError);
    if (token) {
      const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
      await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
    }
  },

  "@langchain/openai: invoke, generate, stream": async () => {
    const options = { model: "gpt-2", maxTokens: 12, temperature: 0, apiKey, configuration: { baseURL } };
    const llm = new LangChainOpenAI(options);
    assert.equal(await llm.invoke(PROMPT), GREEDY);
    const { generations } = await llm.generate([PROMPT, PROMPT]);
    assert.deepEqual(
      generations.map(([{ text }]) => text),
      [GREEDY, GREEDY],
    );
    assert.equal(await joined(await llm.stream(PROMPT), (piece) => piece), GREEDY);
  },

  "AI SDK: whole and streamed, with both providers": async () => {
    // Both write a prompt as a conversation, "user:\n…\n\nassistant:\n". So the text differs from that of other clients, but is the same here.
    const models = [
      createOpenAICompatible({ name: "gpt2", baseURL, apiKey, includeUsage: true }).completionModel("gpt-2"),
      createOpenAI({ baseURL, apiKey }).completion("gpt-2"),
    ];
    const prompt = `user:\n${PROMPT}\n\nassistant:\n`;
    const expected = await client.completions.create({ ...greedy, prompt, stop: ["\nuser:"] });
    for (const model of models) {
      const options = { model, prompt: PROMPT, maxOutputTokens: 12, temperature: 0, maxRetries: 0 };
      const { text, usage } = await generateText(options);
      assert.deepEqual([text, usage.outputTokens], [expected.choices[0].text, 12]);
      const errors = [];
      const streamed = streamText({ ...options, onError: ({ error }) => errors.push(error) });
      assert.equal(await joined(streamed.textStream, (piece) => piece), text);
      assert.equal((await streamed.usage).outputTokens, 12);
      assert.deepEqual(errors, []);
    }
  },

  "AI SDK: options of the provider": async () => {
    const model = createOpenAI({ baseURL, apiKey }).completion("gpt-2");
    const options = { model, prompt: PROMPT, maxOutputTokens: 4, temperature: 0, maxRetries: 0 };
    const { providerMetadata } = await generateText({
      ...options,
      providerOptions: { openai: { logprobs: 2 } },
    });
    assert.equal(providerMetadata.openai.logprobs.tokens.length, 4);
  },

  // It uses /v1/completions, and passes the chunks of a stream on as they come.
  "@huggingface/inference: whole and streamed": async () => {
    const inference = new InferenceClient(apiKey, { endpointUrl: base });
    const parameters = { max_new_tokens: 12, temperature: 0 };
    const { generated_text } = await inference.textGeneration({ model: "gpt-2", inputs: PROMPT, parameters });
    assert.equal(generated_text, GREEDY);
    const stream = inference.textGenerationStream({ model: "gpt-2", inputs: PROMPT, parameters });
    assert.equal(await joined(stream, ({ choices }) => choices[0].text), GREEDY);
  },
};

let isRight = true;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    process.stdout.write(`ok      ${name}\n`);
  } catch (error) {
    isRight = false;
    process.stdout.write(`FAILED  ${name}\n${error.stack}\n`);
  }
}
process.exitCode = isRight ? 0 : 1;
