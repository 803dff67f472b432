import assert from "node:assert/strict";
import { test } from "node:test";
import type { FastifyBaseLogger } from "fastify";
import { answerToClientError } from "./client-errors.ts";

test("only errors of the client's HTTP are answered, and these are logged", () => {
  const logged: unknown[] = [];
  const log = { info: (facts: unknown) => logged.push(facts) } as unknown as FastifyBaseLogger;
  const statuses: Record<string, number | undefined> = {
    HPE_INVALID_METHOD: 400,
    HPE_HEADER_OVERFLOW: 431,
    HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
    ERR_HTTP_REQUEST_TIMEOUT: 408,
    ECONNRESET: undefined,
    EPIPE: undefined,
    ETIMEDOUT: undefined,
    ERR_TLS_HANDSHAKE_TIMEOUT: undefined,
    ERR_SSL_HTTP_REQUEST: undefined,
  };
  for (const [code, status] of Object.entries(statuses)) {
    const answer = answerToClientError(Object.assign(new Error("some error"), { code }), log);
    assert.equal(answer && Number(answer.slice(9, 12)), status, code);
  }
  assert.equal(answerToClientError(new Error("without a code"), log), undefined);
  assert.equal(logged.length, 4);
});
