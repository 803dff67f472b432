// OpenAI's completions at their edges, on the shipped model: texts that begin and end within a character, choices without any
// text, names that no field should have, bodies that come encoded, and the same bodies on SageMaker's routes.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { joinedParts } from "../../../test/support/event-stream.ts";
import { aFront, PATH, post, STREAM_PATH } from "../../../test/support/front.ts";
import { shippedGenerator } from "../../../test/support/shipped-generator.ts";
import { DEFAULT_SETTINGS } from "../../settings.ts";
import { createContainerApp } from "./container.ts";

const generator = await shippedGenerator();
after(() => generator.close());
const generators = new Map([["gpt-2", generator]]);
const signed = aFront({}, { generators }).app;
const { app } = aFront({ auth: "none" }, { generators });

const P = "The old man looked at the sea and";
/** The first two of the three bytes of 日. */
const HALF = [162, 245];
const END_OF_TEXT = 50256;

async function ask(body: object, url = "/v1/completions", headers: Record<string, string> = {}) {
  const response = await app.inject({ method: "POST", url, headers, payload: JSON.stringify(body) });
  return { status: response.statusCode, body: response.body, headers: response.headers };
}

async function choiceOf(body: object) {
  const { status, body: text } = await ask({ temperature: 0, max_tokens: 2, logprobs: 0, ...body });
  assert.equal(status, 200, text);
  return JSON.parse(text).choices[0];
}

const eventsOf = (body: string) =>
  body
    .split("\n\n")
    .filter((event) => event !== "" && event !== "data: [DONE]")
    .map((event) => JSON.parse(event.replace(/^data: /, "")));

/** The names and offsets of all tokens, in a stream and whole. */
async function listed(body: object) {
  const { logprobs } = await choiceOf(body);
  const { body: stream } = await ask({ temperature: 0, max_tokens: 2, logprobs: 0, ...body, stream: true });
  const lists = eventsOf(stream).flatMap(({ choices }) => choices[0].logprobs ?? []);
  return {
    whole: logprobs.tokens.map((name: string, i: number) => [name, logprobs.text_offset[i]]),
    streamed: lists.flatMap(({ tokens, text_offset }) =>
      tokens.map((name: string, i: number) => [name, text_offset[i]]),
    ),
  };
}

test("a character that a prompt leaves incomplete has no width until it is complete", async () => {
  const bias = { logit_bias: { 98: 100 } }; // The byte that makes 日 of the two before it.
  const { whole, streamed } = await listed({ prompt: [464, ...HALF], echo: true, max_tokens: 1, ...bias });
  assert.deepEqual(whole, [
    ["The", 0],
    ["bytes:\\xe6", 3],
    ["bytes:\\x97", 3],
    ["bytes:\\xa5", 3],
  ]);
  assert.deepEqual(streamed, whole);
  const answer = await choiceOf({ prompt: [464, ...HALF], max_tokens: 1, ...bias });
  assert.deepEqual([answer.text, answer.logprobs.text_offset], ["日", [3]]);
  const echoed = await choiceOf({ prompt: [464, ...HALF], echo: true, max_tokens: 1, ...bias });
  assert.equal(echoed.text, "The日");
});

test("a stream tells the prompt's tokens also where there is no text at all", async () => {
  const scored = await listed({ prompt: [END_OF_TEXT, END_OF_TEXT], echo: true, max_tokens: 0 });
  assert.deepEqual(scored.whole, [
    ["<|endoftext|>", 0],
    ["<|endoftext|>", 0],
  ]);
  assert.deepEqual(scored.streamed, scored.whole);
  const ended = await listed({ prompt: "", echo: true, logit_bias: { [END_OF_TEXT]: 100 } });
  assert.deepEqual(ended.whole, [
    ["<|endoftext|>", 0],
    ["<|endoftext|>", 0],
  ]);
  assert.deepEqual(ended.streamed, ended.whole);
});

test("an error names the field as the body does, whatever its name", async () => {
  const named = async (body: object | string) => {
    const payload = typeof body === "string" ? body : JSON.stringify({ prompt: P, ...body });
    const response = await app.inject({ method: "POST", url: "/v1/completions", payload });
    const { error } = response.json();
    assert.deepEqual(Object.keys(error), ["message", "type", "param", "code"]);
    return error.param;
  };
  assert.equal(await named({ max_new_tokens: -1 }), "max_new_tokens");
  assert.equal(await named({ max_tokens: 4, max_new_tokens: 0 }), "max_new_tokens");
  assert.equal(await named({ max_new_tokens: 300 }), "max_tokens");
  for (const name of ["constructor", "toString"]) assert.equal(await named({ [name]: 1 }), name);
  assert.equal(await named('{"prompt": "a", "__proto__": 1}'), "__proto__");
  assert.equal(await named('{"prompt": "a", "logit_bias": {"__proto__": 1}}'), "logit_bias");
});

test("an encoded body is refused as one, in each dialect's form", async () => {
  const gzip = { "content-encoding": "gzip" };
  const openAi = await ask({ prompt: P }, "/v1/completions", gzip);
  assert.deepEqual([openAi.status, JSON.parse(openAi.body).error.type], [415, "invalid_request_error"]);
  const tgi = await ask({ inputs: P }, "/generate", gzip);
  assert.deepEqual([tgi.status, JSON.parse(tgi.body).error_type], [415, "validation"]);
  assert.match(JSON.parse(tgi.body).error, /Content-Encoding "gzip" is not supported/);
  assert.equal(
    (await ask({ prompt: P, max_tokens: 1 }, "/v1/completions", { "content-encoding": "identity" })).status,
    200,
  );
});

test("a completion's body is answered as one on SageMaker's routes, and refused in AWS's words", async () => {
  const body = { prompt: P, max_tokens: 3, temperature: 0, model: "any" };
  const whole = await post(signed, body);
  const { object, model, choices } = whole.json();
  assert.deepEqual([object, model, choices[0].text], ["text_completion", "gpt-2", ' said, "']);
  assert.match(String(whole.headers["x-amzn-invoked-production-variant"]), /./);
  const framed = joinedParts((await post(signed, body, { path: STREAM_PATH })).rawPayload);
  assert.ok(framed.endsWith("data: [DONE]\n\n"));
  assert.equal(
    eventsOf(framed)
      .map((chunk) => chunk.choices[0].text)
      .join(""),
    ' said, "',
  );
  assert.equal(joinedParts((await post(signed, { ...body, stream: true })).rawPayload).slice(0, 6), "data: ");
  const headers = { "x-amzn-sagemaker-accept": "application/jsonlines" };
  const lines = joinedParts((await post(signed, body, { path: STREAM_PATH, headers })).rawPayload);
  const texts = lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).choices[0].text);
  assert.equal(texts.join(""), ' said, "');
  const open = await ask({ ...body, stream: true }, PATH);
  assert.equal(open.headers["content-type"], "text/event-stream");
  assert.equal(eventsOf(open.body).length, 4);
  const refused = await post(signed, { prompt: P, temprature: 1 });
  assert.deepEqual([refused.statusCode, refused.json().ErrorCode], [424, "unknown_field"]);
  assert.match(refused.json().OriginalMessage, /^Unrecognized request argument supplied: temprature/);
});

test("a container answers completions at its own address too, and sends chats away", async () => {
  const container = createContainerApp({ generator, settings: DEFAULT_SETTINGS });
  const send = (url: string, body: object) =>
    container.inject({ method: "POST", url, payload: JSON.stringify(body) });
  const completion = await send("/invocations", { prompt: P, max_tokens: 1, temperature: 0 });
  assert.equal(completion.json().choices[0].text, " said");
  const chat = await send("/v1/chat/completions", { messages: [] });
  assert.deepEqual([chat.statusCode, chat.json().error.code], [404, "unsupported_endpoint"]);
  assert.match((await send("/invocations", { messages: [] })).body, /base model without a chat template/);
});
