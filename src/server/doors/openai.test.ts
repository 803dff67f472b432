// OpenAI's routes on the runtime door, with the shipped model: whole and streamed, single prompts and lists, errors.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import { aFront, CREDENTIAL, NOW, post, signedHeaders } from "../../../test/support/front.ts";
import { shippedGenerator } from "../../../test/support/shipped-generator.ts";
import type { LogprobLists } from "../../request/logprob-lists.ts";
import { DEFAULT_SETTINGS } from "../../settings.ts";
import { makeBearerToken } from "../../sigv4/index.ts";
import { createContainerApp } from "./container.ts";

const generator = await shippedGenerator();
after(() => generator.close());
while (generator.fingerprint === undefined) await new Promise((resolve) => setImmediate(resolve));
const generators = new Map([["gpt-2", generator]]);
const { app } = aFront({ auth: "none" }, { generators });

const P = "The old man looked at the sea and";
const PATH = "/v1/completions";

interface Choice {
  readonly index: number;
  readonly text: string;
  readonly logprobs: LogprobLists | null;
  readonly finish_reason: string | null;
  readonly stop_reason: string | number | null;
  readonly token_ids?: readonly number[];
}

interface Completion {
  readonly choices: readonly Choice[];
  readonly usage?: object | null;
}

const ask = (body: object, url = PATH): Promise<LightMyRequestResponse> =>
  app.inject({ method: "POST", url, payload: JSON.stringify(body) });

async function complete(body: object): Promise<Completion> {
  const response = await ask({ prompt: P, max_tokens: 12, temperature: 0, ...body });
  assert.equal(response.statusCode, 200, response.body);
  return response.json();
}

async function chunksOf(body: object): Promise<Completion[]> {
  const response = await ask({ prompt: P, max_tokens: 12, temperature: 0, ...body, stream: true });
  assert.equal(response.statusCode, 200, response.body);
  assert.equal(response.headers["content-type"], "text/event-stream");
  const events = response.body.split("\n\n");
  assert.deepEqual(events.splice(-2), ["data: [DONE]", ""]);
  return events.map((event) => JSON.parse(event.replace(/^data: /, "")));
}

/** The choices of a stream: its chunks joined by index. */
function joined(chunks: readonly Completion[]): Choice[] {
  const choices: Choice[] = [];
  for (const chunk of chunks.flatMap((each) => each.choices)) {
    const sofar = choices[chunk.index];
    const { logprobs } = chunk;
    assert.equal(sofar?.finish_reason ?? null, null, "nothing comes behind the end of a choice");
    choices[chunk.index] = sofar
      ? {
          ...chunk,
          text: sofar.text + chunk.text,
          logprobs:
            logprobs && sofar.logprobs ? joinedLists(sofar.logprobs, logprobs) : (logprobs ?? sofar.logprobs),
          ...(chunk.token_ids && { token_ids: [...(sofar.token_ids ?? []), ...chunk.token_ids] }),
        }
      : chunk;
  }
  return choices;
}

function joinedLists(a: LogprobLists, b: LogprobLists): LogprobLists {
  const names = Object.keys(a) as (keyof LogprobLists)[];
  return Object.fromEntries(names.map((name) => [name, [...a[name], ...b[name]]])) as unknown as LogprobLists;
}

test("a completion has the form that OpenAI's clients read", async () => {
  const response = await ask({ model: "gpt-2", prompt: P, max_tokens: 1, temperature: 0 });
  const { id, created, system_fingerprint: fingerprint, ...rest } = response.json();
  assert.match(id, /^cmpl-[0-9a-f-]{36}$/);
  assert.ok(Number.isSafeInteger(created));
  assert.match(fingerprint, /^fp_[0-9a-f]{12}$/);
  assert.deepEqual(rest, {
    object: "text_completion",
    model: "gpt-2",
    choices: [{ index: 0, text: " said", logprobs: null, finish_reason: "length", stop_reason: null }],
    usage: {
      prompt_tokens: 8,
      completion_tokens: 1,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 0 },
    },
  });
  const { headers } = response;
  assert.deepEqual(
    [headers["x-request-id"], headers["x-gpt2-fingerprint"]],
    [headers["x-amzn-requestid"], fingerprint],
  );
  assert.match(String(headers["openai-processing-ms"]), /^\d+$/);
});

test("whole and streamed answers are the same, with all that a choice can have", async () => {
  for (const body of [
    {},
    { stop: ["ot a", "x"], logprobs: 3, return_token_ids: true },
    { echo: true, logprobs: 2, max_tokens: 5, prompt: "naïve café — 日本 😀" },
    { echo: true, max_tokens: 0 },
    { echo: true, max_tokens: 0, logprobs: 1 },
    { n: 3, temperature: 0.9, seed: 5, logprobs: 0, return_tokens_as_token_ids: true },
    { num_beams: 3, n: 2, stop: ",", logprobs: 1, return_token_ids: true },
    { prompt: [P, "Once"], n: 2, temperature: 0.8, seed: 1, logprobs: 1 },
    { prompt: [[464, 1468], [50256]], max_tokens: 4, include_stop_str_in_output: true, stop: "e" },
  ]) {
    const { choices, usage } = await complete(body);
    const chunks = await chunksOf({ ...body, stream_options: { include_usage: true } });
    const { choices: none, usage: streamedUsage } = chunks.pop() as Completion;
    assert.deepEqual([none, Object.keys(streamedUsage ?? {})], [[], Object.keys(usage ?? {})]);
    assert.ok(chunks.every((chunk) => chunk.usage === null));
    const order = ({ prompt_token_ids: _, ...choice }: Choice & { prompt_token_ids?: unknown }) => choice;
    assert.deepEqual(joined(chunks).map(order), choices.map(order), JSON.stringify(body));
    assert.deepEqual(
      choices.map(({ index }) => index),
      choices.map((_, i) => i),
    );
  }
});

test("a list gives the answers of its prompts one by one, with increasing seeds", async () => {
  const shared = { temperature: 1, max_tokens: 6 };
  const { choices } = await complete({ ...shared, prompt: ["Once", P, "Once"], seed: 7 });
  for (const [j, prompt] of ["Once", P, "Once"].entries()) {
    const alone = await complete({ ...shared, prompt, seed: 7 + j });
    assert.equal(choices[j]?.text, alone.choices[0]?.text);
  }
});

test("the same search gives the same text as the server's own dialect", async () => {
  for (const [theirs, own] of [
    [{}, { mode: "greedy" }],
    [
      { temperature: 0.8, top_p: 0.9, seed: 7 },
      { mode: "sample", temperature: 0.8, top_p: 0.9, top_k: 0, seed: 7 },
    ],
    [
      { num_beams: 4, no_repeat_ngram_size: 2 },
      { mode: "beam", num_beams: 4 },
    ],
  ] as const) {
    const body = { input: P, max_new_tokens: 12, num_return_sequences: 1, echo: false, ...own };
    const response = await post(app, body);
    assert.deepEqual(response.json(), [(await complete(theirs)).choices[0]?.text]);
  }
});

test("requests of lm-evaluation-harness get the likelihoods that it reads", async () => {
  const { choices } = await complete({
    prompt: [[464, 1468, 582, 1816, 1363]],
    max_tokens: 1,
    logprobs: 1,
    seed: 1234,
    echo: true,
  });
  const {
    token_logprobs: own,
    top_logprobs: top,
    text_offset: offsets,
  } = (choices[0] as Choice).logprobs as LogprobLists;
  const expected = [null, -6.01765, -1.72142, -5.03854, -4.05588, -1.48534];
  for (const [i, value] of expected.entries()) {
    if (value === null) assert.equal(own[i], null);
    else assert.ok(Math.abs((own[i] as number) - value) < 2e-4, `${own[i]} is not ${value}`);
  }
  assert.deepEqual(offsets.slice(0, 5), [0, 3, 7, 11, 16]);
  assert.deepEqual(
    top.slice(1).map((each) => Object.keys(each ?? {}).length),
    [2, 1, 2, 2, 1],
  );
  const isGreedy = own.map(
    (value, i) => value === Math.max(...Object.values(top[i] ?? { none: Number.NaN })),
  );
  assert.deepEqual(isGreedy, [false, false, true, false, false, true]);
});

test("a scored text whose next token is the end-of-text has an entry for that token, whole and streamed", async () => {
  const eos = generator.model.vocabSize - 1;
  const ends = { logprobs: 1, max_tokens: 1, logit_bias: { [eos]: 100 } };
  const numbersOf = (choice: Choice | undefined) => choice?.logprobs?.token_logprobs;
  const goesOn = (await complete({ ...ends, logit_bias: {}, echo: true })).choices[0];
  for (const answer of [complete, async (body: object) => ({ choices: joined(await chunksOf(body)) })]) {
    const [choice] = (await answer({ ...ends, echo: true })).choices;
    assert.deepEqual([choice?.text, choice?.finish_reason], [P, "stop"]);
    assert.equal(choice?.logprobs?.tokens.at(-1), "<|endoftext|>");
    assert.equal(numbersOf(choice)?.length, numbersOf(goesOn)?.length);
    assert.deepEqual(numbersOf(choice)?.slice(0, -1), numbersOf(goesOn)?.slice(0, -1));
    // Without echo no client expects it: OpenAI does not list the end-of-text token.
    const [plain] = (await answer(ends)).choices;
    assert.deepEqual([plain?.text, numbersOf(plain) ?? []], ["", []]);
  }
});

test("models are found by the names that clients use", async () => {
  const two = aFront(
    { auth: "none" },
    {
      generators: new Map([
        ["small", generator],
        ["other", generator],
      ]),
    },
  ).app;
  const named = async (model: unknown) => {
    const response = await two.inject({
      method: "POST",
      url: PATH,
      payload: JSON.stringify({ model, prompt: "a" }),
    });
    return response.json().model ?? response.json().error.code;
  };
  assert.equal(await named("other"), "other");
  assert.equal(await named("somebody/other"), "other");
  assert.equal(await named("http://host:80/endpoints/other/"), "other");
  assert.equal(await named("openai-community/tiny"), "small");
  assert.equal(await named("gpt2"), "model_not_found");
  assert.equal(await named(""), "model_not_found");
  assert.equal(await named(undefined), "missing_required_parameter");
  assert.equal(await named(5), "invalid_value");
  const below = await two.inject({
    method: "POST",
    url: "/endpoints/other/openai/v1/completions",
    payload: '{"model": "", "prompt": "a"}',
  });
  assert.equal(below.json().model, "other");
  const list = (await two.inject("/v1/models")).json();
  assert.deepEqual(
    list.data.map(({ id, max_model_len: length }: { id: string; max_model_len: number }) => [id, length]),
    [
      ["small", 256],
      ["other", 256],
    ],
  );
  assert.equal((await two.inject("/v1/models/x/other")).json().id, "other");
  assert.equal((await two.inject("/v1/models/none")).statusCode, 404);
  assert.equal((await two.inject("/endpoints/none/openai/v1/models")).json().error.code, "model_not_found");
});

test("errors are OpenAI's on its paths, and AWS's elsewhere", async () => {
  const told = async (body: object | string, url = PATH) => {
    const payload = typeof body === "string" ? body : JSON.stringify(body);
    const response = await app.inject({ method: "POST", url, payload });
    const { error } = response.json();
    assert.deepEqual(Object.keys(error), ["message", "type", "param", "code"]);
    assert.equal(response.headers["x-request-id"], response.headers["x-amzn-requestid"]);
    return [response.statusCode, error.code, error.param];
  };
  assert.deepEqual(await told("{"), [400, null, null]);
  assert.deepEqual(await told("[]"), [400, null, null]);
  assert.deepEqual(await told({ prompt: [] }), [400, "invalid_value", "prompt"]);
  assert.deepEqual(await told({ prompt: [60000] }), [400, "invalid_value", "prompt"]);
  assert.deepEqual(await told({ prompt: "a", stop_token_ids: [60000] }), [
    400,
    "invalid_value",
    "stop_token_ids",
  ]);
  assert.deepEqual(await told({ prompt: "a", nonsense: 1 }), [400, "unknown_parameter", "nonsense"]);
  const words = (count: number): string => " a".repeat(count);
  assert.deepEqual(await told({ prompt: words(256) }), [400, "context_length_exceeded", "prompt"]);
  assert.deepEqual(await told({ prompt: words(255), max_tokens: 2 }), [
    400,
    "context_length_exceeded",
    "max_tokens",
  ]);
  assert.deepEqual(await told({ prompt: words(900) }), [400, "context_length_exceeded", "prompt"]);
  assert.deepEqual(await told({}, "/v1/chat/completions"), [404, "unsupported_endpoint", "model"]);
  assert.deepEqual(await told({}, "/endpoints/gpt-2/openai/v1/responses"), [
    404,
    "unsupported_endpoint",
    "model",
  ]);
  assert.deepEqual(await told({}, "/v1/embeddings"), [404, "unknown_url", null]);
  assert.deepEqual(await told({}, "/v1/models"), [405, null, null]);
  const own = await app.inject({ method: "POST", url: "/nothing", payload: "{}" });
  assert.ok(own.json().message.includes("/nothing"));
});

test("a prompt that leaves room for one token gets it; the default takes what fits", async () => {
  const prompt = " a".repeat(255);
  assert.equal((await complete({ prompt, max_tokens: 1 })).choices[0]?.finish_reason, "length");
  assert.deepEqual((await complete({ prompt, max_tokens: undefined })).usage, {
    prompt_tokens: 255,
    completion_tokens: 1,
    total_tokens: 256,
    prompt_tokens_details: { cached_tokens: 240 },
  });
});

test("callers can sign, and see only the endpoints of their key", async () => {
  const keys = {
    keyPair: (id: string) =>
      id === CREDENTIAL.accessKeyId ? { ...CREDENTIAL, endpoints: new Set(["gpt-2"]) } : undefined,
    apiKey: () => undefined,
  };
  const front = aFront(
    {},
    {
      generators: new Map([
        ["gpt-2", generator],
        ["hidden", generator],
      ]),
      keys,
    },
  ).app;
  const signed = (url: string, body: string) =>
    front.inject({
      method: "POST",
      url,
      payload: body,
      headers: signedHeaders(body, { path: url, now: NOW }),
    });
  assert.equal((await signed(PATH, '{"prompt": "a"}')).statusCode, 200);
  const hidden = await signed(PATH, '{"prompt": "a", "model": "hidden"}');
  assert.deepEqual([hidden.statusCode, hidden.json().error.code], [403, "access_denied"]);
  const nobody = await front.inject({ method: "POST", url: PATH, payload: "{}" });
  assert.deepEqual([nobody.statusCode, nobody.json().error.code], [401, null]);
  const authorization = `Bearer ${makeBearerToken({ credential: CREDENTIAL, region: "us-east-1", now: NOW, expiresSeconds: 60 })}`;
  const withToken = (model: string) =>
    front.inject({
      method: "POST",
      url: PATH,
      headers: { authorization },
      payload: JSON.stringify({ model, prompt: "a" }),
    });
  assert.deepEqual(
    [(await withToken("gpt-2")).statusCode, (await withToken("hidden")).statusCode],
    [200, 403],
  );
  const ended = aFront({}, { generators, now: () => new Date(NOW.getTime() + 61_000) }).app;
  assert.equal(
    (await ended.inject({ url: "/v1/models", headers: { authorization } })).json().error.code,
    "invalid_api_key",
  );
  const wrong = await front.inject({ url: "/v1/models", headers: { authorization: "Bearer x" } });
  assert.deepEqual([wrong.statusCode, wrong.json().error.code], [401, "invalid_api_key"]);
});

test("the tokenizer's routes encode and decode", async () => {
  const text = "naïve <|endoftext|> 😀";
  const { tokens, count, max_model_len: length } = (await ask({ prompt: text }, "/tokenize")).json();
  assert.deepEqual([count, length], [tokens.length, 256]);
  assert.ok(tokens.includes(50256));
  const back = (await ask({ tokens }, "/endpoints/gpt-2/openai/detokenize")).json();
  assert.equal(back.prompt, text.replace("<|endoftext|>", ""));
  assert.equal((await app.inject("/tokenizer_info")).json().eos_token, "<|endoftext|>");
  assert.equal((await ask({ tokens: ["a"] }, "/detokenize")).json().error.param, "tokens");
  assert.equal((await ask({}, "/tokenize")).statusCode, 400);
});

test("the container door answers these routes too", async () => {
  const container = createContainerApp({ generator, settings: DEFAULT_SETTINGS });
  const response = await container.inject({
    method: "POST",
    url: PATH,
    payload: JSON.stringify({ model: "x", prompt: P, temperature: 0, max_tokens: 1 }),
  });
  assert.equal(response.json().choices[0].text, " said");
  const own = await container.inject({
    method: "POST",
    url: PATH,
    payload: JSON.stringify({ prompt: P, temperature: 0, max_tokens: 1 }),
  });
  assert.equal(own.json().choices[0].text, " said");
  assert.equal((await container.inject("/v1/models")).json().data.length, 1);
});
