import assert from "node:assert/strict";
import { test } from "node:test";
import { aFront, post } from "../../../test/support/front.ts";
import { negotiate, RESPONSE_TYPES, type ResponseType } from "./envelope.ts";

async function answer(headers: Record<string, string>) {
  const response = await post(aFront().app, { input: "", seed: 1 }, { headers });
  return { response, status: response.statusCode, type: response.headers["x-amzn-errortype"] };
}

test("headers of the API are accepted up to the limits of its model", async () => {
  const limits = {
    "content-type": 1024,
    "x-amzn-sagemaker-custom-attributes": 1024,
    "x-amzn-sagemaker-inference-id": 64,
    "x-amzn-sagemaker-prefix-aware-id": 1024,
  };
  for (const [name, limit] of Object.entries(limits)) {
    assert.equal((await answer({ [name]: "x".repeat(limit) })).status, 200, name);
    const { status, type, response } = await answer({ [name]: "x".repeat(limit + 1) });
    assert.deepEqual([status, type], [400, "ValidationError"], name);
    assert.equal(
      response.json().Message,
      `The header ${name} must have at most ${limit} characters, got ${limit + 1}`,
    );
  }
});

test("custom attributes are returned if they were sent, and only then", async () => {
  const { response } = await answer({ "x-amzn-sagemaker-custom-attributes": "id=7; x" });
  assert.equal(response.headers["x-amzn-sagemaker-custom-attributes"], "id=7; x");
  assert.equal((await answer({})).response.headers["x-amzn-sagemaker-custom-attributes"], undefined);
});

test("features that need more than one plain model are refused by name", async () => {
  const refused: Record<string, RegExp> = {
    "target-model":
      /^Endpoint gpt-2 is not a multi-model endpoint and does not support target model header\.$/,
    "target-container-hostname": /not a multi-container endpoint/,
    "target-variant": /^Endpoint gpt-2 has no variant "x"; its only one is AllTraffic\.$/,
    "inference-component": /no inference components/,
    "session-id": /keeps no sessions/,
    "enable-explanations": /no explainer/,
  };
  for (const [name, message] of Object.entries(refused)) {
    const { status, type, response } = await answer({ [`x-amzn-sagemaker-${name}`]: "x" });
    assert.deepEqual([status, type], [400, "ValidationError"], name);
    assert.match(response.json().Message, message);
  }
  assert.equal((await answer({ "x-amzn-sagemaker-target-variant": "AllTraffic" })).status, 200);
});

test("the caller's inference id is in the log line", async () => {
  const lines: string[] = [];
  const logger = { level: "info", stream: { write: (line: string) => lines.push(line) } };
  const { app } = aFront({}, { logger });
  await post(app, { input: "" }, { headers: { "x-amzn-sagemaker-inference-id": "mine-1" } });
  assert.equal(JSON.parse(lines[0] ?? "").inferenceId, "mine-1");
});

const JSON_TYPE = "application/json";
const LINES = "application/jsonlines";

test("the content type is the one the caller prefers, or the default if it names only unsupported types", () => {
  const expected: Record<string, ResponseType> = {
    "": JSON_TYPE,
    " ": JSON_TYPE,
    "*/*": JSON_TYPE,
    "application/*": JSON_TYPE,
    [JSON_TYPE]: JSON_TYPE,
    [LINES]: LINES,
    "APPLICATION/JsonLines": LINES,
    "application/jsonlines; charset=UTF-8": LINES,
    "application/json;q=0.1, application/jsonlines": LINES,
    "application/json;q=0.1, application/jsonlines;charset=utf-8": LINES,
    "application/jsonlines;q=0.5, */*": JSON_TYPE,
    "*/*;q=0.5, application/jsonlines": LINES,
    "text/html, application/json;q=0.9": JSON_TYPE,
    "application/xml": JSON_TYPE,
    "text/csv, image/*;q=0.3": JSON_TYPE,
    "application/x-npy": JSON_TYPE,
    "application/xml, application/json;q=0": LINES,
    "application/json;q=0": LINES,
    "application/json; q=0.000, */*": LINES,
    "application/*;q=0, application/json;q=0.2": JSON_TYPE,
    "not a type": JSON_TYPE,
    'text/plain;a="x, application/jsonlines"': JSON_TYPE,
    ",,;;": JSON_TYPE,
  };
  const options = { types: RESPONSE_TYPES, acceptHeader: "accept" } as const;
  assert.equal(negotiate(undefined, options), JSON_TYPE);
  for (const [accept, type] of Object.entries(expected)) {
    assert.equal(negotiate(accept, options), type, accept);
  }
  const refused = { type: "ValidationError", status: 400 };
  for (const accept of [
    "*/*;q=0",
    "application/*;q=0",
    "text/html, */*; q=0.0",
    `${JSON_TYPE};q=0, ${LINES};q=0`,
  ]) {
    assert.throws(() => negotiate(accept, options), refused, accept);
  }
  assert.throws(() => negotiate("application/json;q=0", { ...options, types: [JSON_TYPE] }), refused);
});

test("Accept may have any value that does not exclude JSON", async () => {
  for (const accept of ["application/xml", "text/csv", "text/html, application/xhtml+xml, */*;q=0.8"]) {
    const { status, response } = await answer({ accept });
    assert.deepEqual([status, response.headers["content-type"]], [200, JSON_TYPE], accept);
  }
  const { status, type, response } = await answer({ accept: "application/json;q=0" });
  assert.deepEqual([status, type], [400, "ValidationError"]);
  assert.match(response.json().Message, /^Accept must allow application\/json, got "application\/json;q=0"$/);
});
