// Hugging Face's bodies and TGI's routes on the runtime door, with the shipped model.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { joinedParts } from "../../../test/support/event-stream.ts";
import { aFront, PATH, post, STREAM_PATH } from "../../../test/support/front.ts";
import { shippedGenerator } from "../../../test/support/shipped-generator.ts";
import { packageVersion } from "../../generator/model-directory.ts";
import { DEFAULT_SETTINGS } from "../../settings.ts";
import { createContainerApp } from "./container.ts";

const generator = await shippedGenerator();
after(() => generator.close());
const generators = new Map([["gpt-2", generator]]);
const signed = aFront({}, { generators }).app;
const { app } = aFront({ auth: "none" }, { generators });

const P = "The old man looked at the sea and";
const SAID = ' said, "I am not a man, but I am';

async function ask(body: object, url = PATH) {
  const response = await app.inject({ method: "POST", url, payload: JSON.stringify(body) });
  return { status: response.statusCode, body: response.body, headers: response.headers };
}

async function texts(parameters: object = {}, inputs: unknown = P) {
  const { status, body } = await ask({ inputs, parameters: { max_new_tokens: 12, ...parameters } });
  assert.equal(status, 200, body);
  return JSON.parse(body);
}

const eventsOf = (body: string) =>
  body
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => JSON.parse(event.replace(/^data:/, "")));

test("one input is answered with a list of texts, a list of inputs with a list of lists", async () => {
  assert.deepEqual(await texts(), [{ generated_text: P + SAID }]);
  assert.deepEqual(await texts({ return_full_text: false }), [{ generated_text: SAID }]);
  const [[first], [second]] = await texts({ do_sample: true, seed: 5 }, [P, P]);
  assert.deepEqual(
    [{ generated_text: (await texts({ do_sample: true, seed: 6 }))[0].generated_text }],
    [second],
  );
  assert.notEqual(first.generated_text, second.generated_text);
  assert.equal((await texts({ num_beams: 3, num_return_sequences: 2 })).length, 2);
  assert.equal((await texts({ do_sample: true, best_of: 4, seed: 1 })).length, 1);
});

test("a sampling parameter turns sampling on, with transformers' default of top_k", async () => {
  const own = async (body: object) => {
    const response = await post(app, {
      input: P,
      num_return_sequences: 1,
      max_new_tokens: 12,
      seed: 3,
      ...body,
    });
    return [{ generated_text: response.json()[0] }];
  };
  assert.deepEqual(
    await texts({ temperature: 0.9, seed: 3 }),
    await own({ mode: "sample", temperature: 0.9, top_p: 1 }),
  );
  assert.deepEqual(await texts({ top_k: 3, seed: 3 }), await own({ mode: "sample-top-k", top_k: 3 }));
  assert.deepEqual(await texts({ temperature: 0, top_p: 0.3 }), await own({ mode: "greedy" }));
  assert.deepEqual(await texts({ do_sample: false, temperature: 2 }), await own({ mode: "greedy" }));
});

test("stop strings stay in the text, up to the end of their last token", async () => {
  for (const name of ["stop", "stop_sequence", "stop_sequences", "stop_strings"]) {
    assert.deepEqual(await texts({ [name]: "m n", return_full_text: false }), [
      { generated_text: ' said, "I am not' },
    ]);
  }
});

test("details have the tokens of output and input, and the most likely alternatives", async () => {
  const [{ generated_text: text, details }] = await texts({
    decoder_input_details: true,
    top_n_tokens: 2,
    return_full_text: false,
  });
  assert.equal(details.tokens.map((token: { text: string }) => token.text).join(""), text);
  assert.deepEqual([details.finish_reason, details.generated_tokens, details.seed], ["length", 12, null]);
  assert.deepEqual(details.prefill[0], { id: 464, text: "The", logprob: null });
  assert.ok(Math.abs(details.prefill[1].logprob + 6.01765) < 1e-3);
  assert.ok(Math.abs(details.tokens[0].logprob + 3.01397) < 1e-3);
  assert.deepEqual(
    details.top_tokens[0].map(({ id }: { id: number }) => id),
    [531, 373],
  );
  const [stopped] = await texts({ details: true, stop: ["m n"], do_sample: true, top_k: 1, seed: 9 });
  assert.deepEqual([stopped.details.finish_reason, stopped.details.seed], ["stop_sequence", 9]);
});

test("a stream has one event for each token, and the whole text in the last", async () => {
  const { body, headers } = await ask({ inputs: P, parameters: { max_new_tokens: 12 }, stream: true });
  assert.equal(headers["content-type"], "text/event-stream");
  assert.ok(body.endsWith("\n"));
  const events = eventsOf(body);
  assert.deepEqual(
    events.map(({ index }) => index),
    Array.from({ length: 12 }, (_, i) => i + 1),
  );
  assert.equal(events.map(({ token }) => token.text).join(""), SAID);
  assert.ok(
    events.slice(0, -1).every(({ generated_text, details }) => generated_text === null && details === null),
  );
  const { generated_text: text, details } = events[11];
  assert.equal(text, P + SAID);
  assert.deepEqual(details, { finish_reason: "length", generated_tokens: 12, seed: null, input_length: 8 });
});

test("for a signed request the events are in AWS's frames, or one object a line", async () => {
  const body = { inputs: P, parameters: { max_new_tokens: 3 } };
  const framed = await post(signed, { ...body, stream: true });
  assert.equal(eventsOf(joinedParts(framed.rawPayload)).length, 3);
  const streamed = await post(signed, body, { path: STREAM_PATH });
  assert.equal(eventsOf(joinedParts(streamed.rawPayload)).length, 3);
  const headers = { "x-amzn-sagemaker-accept": "application/jsonlines" };
  const lines = await post(signed, body, { path: STREAM_PATH, headers });
  const parsed = joinedParts(lines.rawPayload)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(parsed.map(({ token }) => token.text).join(""), ' said, "');
});

test("TGI's routes answer with a text, a stream, information and health", async () => {
  const body = { inputs: P, parameters: { max_new_tokens: 12 } };
  assert.deepEqual(JSON.parse((await ask(body, "/generate")).body), { generated_text: SAID });
  assert.deepEqual(JSON.parse((await ask(body, "/endpoints/gpt-2/generate")).body), { generated_text: SAID });
  assert.equal(eventsOf((await ask(body, "/generate_stream")).body).at(-1).generated_text, SAID);
  assert.deepEqual(JSON.parse((await ask(body, "/")).body), [{ generated_text: P + SAID }]);
  assert.equal(eventsOf((await ask({ ...body, stream: true }, "/")).body).length, 12);
  const { max_total_tokens: total, max_input_tokens: input, version } = (await app.inject("/info")).json();
  assert.deepEqual([total, input, version], [256, 255, packageVersion()]);
  const limited = aFront({ auth: "none", maxNumReturnSequences: 8 }, { generators }).app;
  assert.equal((await limited.inject("/info")).json().max_best_of, 8);
  const health = await signed.inject("/health");
  assert.deepEqual([health.statusCode, health.body], [200, ""]);
  assert.equal((await signed.inject("/info")).statusCode, 401);
});

test("errors are TGI's on its routes, and AWS's on SageMaker's", async () => {
  const wrong = async (body: object, url: string) => {
    const { status, body: text } = await ask(body, url);
    return [status, JSON.parse(text)] as const;
  };
  const [status, tgi] = await wrong({ inputs: P, parameters: { temperature: -1 } }, "/generate");
  assert.equal(status, 422);
  assert.deepEqual(Object.keys(tgi), ["error", "error_type"]);
  assert.match(tgi.error, /^Input validation error: temperature must be a number from 0 to 100, got -1/);
  const [own, aws] = await wrong({ inputs: P, parameters: { temprature: 1 } }, PATH);
  assert.deepEqual([own, aws.ErrorCode], [424, "unknown_field"]);
  assert.match(aws.OriginalMessage, /"parameters\.temprature" is unknown; did you mean "temperature"\?/);
  const [missing, none] = await wrong({ inputs: P }, "/endpoints/none/generate");
  assert.deepEqual([missing, none.error_type], [404, "not_found"]);
  const refused = async (body: object, message: RegExp, url = PATH) => {
    const [, answer] = await wrong(body, url);
    assert.match(answer.OriginalMessage ?? answer.error, message);
  };
  await refused({ inputs: P, input: P }, /are of different dialects; send one of them/);
  await refused({ messages: [] }, /messages: This is a base model without a chat template/);
  await refused({ inputs: [] }, /inputs must be a string or a list of 1 to 128 strings, got 0 inputs/);
  await refused({ inputs: P, parameters: { watermark: true } }, /parameters\.watermark is not offered/);
  await refused(
    { inputs: P, parameters: { clean_up_tokenization_spaces: true } },
    /parameters\.clean_up_tokenization_spaces is not offered/,
  );
  await refused(
    { inputs: P, parameters: { eos_token_id: 50257 } },
    /eos_token_id must be a token id below 50257, or a list/,
  );
  await refused({ inputs: P, parameters: { typical_p: 0.9 } }, /typical_p must be 1, got 0\.9/);
  await refused({ inputs: P, parameters: { best_of: 2 } }, /best_of needs sampled texts/);
  await refused(
    { inputs: P, parameters: { num_beams: 2, do_sample: true } },
    /do_sample must be false beside num_beams/,
  );
  await refused({ inputs: [P] }, /inputs must be a string on this route/, "/generate");
  await refused(
    { inputs: P, stream: true, parameters: { best_of: 2, do_sample: true } },
    /best_of must be 1 when the answer is streamed/,
  );
});

test("parameters without a meaning here that real clients send are accepted, and null counts as absent", async () => {
  assert.deepEqual(
    await texts({
      sagemaker_base_url: "http://x",
      use_cache: true,
      pad_token_id: 50256,
      watermark: false,
      grammar: null,
      top_k: null,
      seed: null,
      typical_p: null,
      min_new_tokens: 3,
      min_length: 11,
      truncate: 200,
    }),
    [{ generated_text: P + SAID }],
  );
});

test("the container door accepts these bodies too", async () => {
  const container = createContainerApp({ generator, settings: DEFAULT_SETTINGS });
  const payload = JSON.stringify({ inputs: P, parameters: { max_new_tokens: 1 } });
  const response = await container.inject({ method: "POST", url: "/invocations", payload });
  assert.deepEqual(response.json(), [{ generated_text: `${P} said` }]);
  const streamed = JSON.stringify({ inputs: P, stream: true, parameters: { max_new_tokens: 2 } });
  const stream = await container.inject({ method: "POST", url: "/invocations", payload: streamed });
  assert.equal(eventsOf(stream.body).length, 2);
});

test("eos_token_id names the tokens that end a text, in place of the model's own", async () => {
  const ended = async (parameters: object) => {
    const [{ generated_text: text, details }] = await texts({
      details: true,
      return_full_text: false,
      ...parameters,
    });
    return [text, details.finish_reason, details.tokens.length];
  };
  assert.deepEqual(await ended({ eos_token_id: 11 }), [" said,", "eos_token", 2]);
  assert.deepEqual(await ended({ eos_token_id: [366, 40] }), [' said, "', "eos_token", 3]);
  assert.deepEqual(await ended({ eos_token_id: 50256 }), [SAID, "length", 12]);
  assert.deepEqual(await ended({ eos_token_id: 11, min_new_tokens: 2, max_new_tokens: 2 }), [
    ...[" said:", "length", 2],
  ]);
});

test("what is refused before it meets a route is refused in TGI's form on TGI's paths", async () => {
  const sent = async (url: string, headers: Record<string, string>, method: "POST" | "PUT" = "POST") => {
    const response = await app.inject({ method, url, headers, payload: "{}" });
    return [response.statusCode, Object.keys(response.json())];
  };
  const large = { "content-length": String(2 ** 30) };
  assert.deepEqual(await sent("/generate?x", large), [413, ["error", "error_type"]]);
  assert.deepEqual(await sent("/endpoints/gpt-2/generate_stream", large), [413, ["error", "error_type"]]);
  assert.deepEqual(await sent("/generate", {}, "PUT"), [405, ["error", "error_type"]]);
  assert.deepEqual(await sent(PATH, large), [413, ["message"]]);
});
