import assert from "node:assert/strict";
import { test } from "node:test";
import { aFront, post } from "../../../test/support/front.ts";

async function answer(headers: Record<string, string>) {
  const response = await post(aFront().app, { input: "", seed: 1 }, { headers });
  return { response, status: response.statusCode, type: response.headers["x-amzn-errortype"] };
}

test("headers of the API are taken up to the limits of its model", async () => {
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

test("custom attributes come back, and only when they were sent", async () => {
  const { response } = await answer({ "x-amzn-sagemaker-custom-attributes": "id=7; x" });
  assert.equal(response.headers["x-amzn-sagemaker-custom-attributes"], "id=7; x");
  assert.equal((await answer({})).response.headers["x-amzn-sagemaker-custom-attributes"], undefined);
});

test("what needs more than one plain model is refused by name", async () => {
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
