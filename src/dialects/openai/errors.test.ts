import assert from "node:assert/strict";
import { test } from "node:test";
import { ERRORS, type ErrorCode, GptError } from "../../errors.ts";
import { openAiErrorOf, openAiRefusal } from "./errors.ts";

test("every code has a status, a type and all four members", () => {
  const statuses: Partial<Record<ErrorCode, number>> = {
    invalid_json: 400,
    invalid_body: 400,
    unknown_field: 400,
    invalid_field: 400,
    prompt_too_long: 400,
    request_too_large: 400,
    queue_full: 503,
    timed_out: 504,
    cancelled: 503,
  };
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const { status, body } = openAiErrorOf(new GptError(code, "Why."), 256);
    assert.equal(status, statuses[code] ?? 500, code);
    assert.deepEqual(Object.keys(body.error), ["message", "type", "param", "code"]);
    assert.equal(body.error.type, status < 500 ? "invalid_request_error" : "server_error");
    if (status === 500) assert.ok(!body.error.message.includes("Why."));
  }
});

test("a text that is too long is told in the words that clients look for", () => {
  const tooLong = (field?: string) =>
    openAiErrorOf(new GptError("prompt_too_long", "why", { field: field as string }), 256);
  assert.match(tooLong("input").body.error.message, /^This model's maximum context length is 256 tokens/);
  assert.deepEqual(
    [tooLong("input").body.error.param, tooLong("max_new_tokens").body.error.param],
    ["prompt", "max_tokens"],
  );
  assert.equal(tooLong().body.error.code, "context_length_exceeded");
});

test("what is not worth a second try says so, and what is says when", () => {
  assert.equal(openAiErrorOf(new GptError("timed_out", "late"), 1).headers["x-should-retry"], "false");
  assert.equal(openAiErrorOf(new GptError("queue_full", "full"), 1).headers["retry-after"], "1");
  const throttled = openAiRefusal({
    type: "ThrottlingException",
    status: 429,
    message: "m",
    headers: { "retry-after": "3" },
  });
  assert.deepEqual([throttled.headers["retry-after"], throttled.body.error.type], ["3", "rate_limit_error"]);
});

test("wrong credentials are 401, a key that may not is 403", () => {
  const told = (type: string, status: number) => {
    const { status: own, body } = openAiRefusal({ type, status, message: "m" });
    return [own, body.error.code];
  };
  assert.deepEqual(told("MissingAuthenticationTokenException", 403), [401, null]);
  for (const type of ["InvalidSignatureException", "UnrecognizedClientException", "ExpiredTokenException"])
    assert.deepEqual(told(type, 403), [401, "invalid_api_key"]);
  assert.deepEqual(told("IncompleteSignatureException", 400), [401, "invalid_api_key"]);
  assert.deepEqual(told("AccessDeniedException", 403), [403, "access_denied"]);
  assert.deepEqual(told("RequestEntityTooLargeException", 413), [413, null]);
  assert.deepEqual(told("ModelNotReadyException", 429), [503, "model_not_ready"]);
});
