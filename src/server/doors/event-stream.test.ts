import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeFrames } from "../../../test/support/event-stream.ts";
import { exceptionFrame, payloadPart } from "./event-stream.ts";

// These frames were made from the published layout and decoded with botocore.
const PART =
  "AAAAbgAAAFlRl/8VDTptZXNzYWdlLXR5cGUHAAVldmVudAs6ZXZlbnQtdHlwZQcAC1BheWxvYWRQYXJ0DTpjb250ZW50LXR5cGUHABhhcHBs" +
  "aWNhdGlvbi9vY3RldC1zdHJlYW1bImEiXXi1jYg=";
const EXCEPTION =
  "AAAAqgAAAF7TZiStDTptZXNzYWdlLXR5cGUHAAlleGNlcHRpb24POmV4Y2VwdGlvbi10eXBlBwAQTW9kZWxTdHJlYW1FcnJvcg06Y29udGVudC10" +
  "eXBlBwAQYXBwbGljYXRpb24vanNvbnsiRXJyb3JDb2RlIjoiTW9kZWxJbnZvY2F0aW9uVGltZUV4Y2VlZGVkIiwiTWVzc2FnZSI6ImJvb20ifSws" +
  "xjQ=";

test("frames are, byte for byte, those that botocore decodes", () => {
  assert.equal(payloadPart(Buffer.from('["a"]')).toString("base64"), PART);
  const members = { ErrorCode: "ModelInvocationTimeExceeded", Message: "boom" };
  assert.equal(exceptionFrame("ModelStreamError", members).toString("base64"), EXCEPTION);
});

test("a frame can have any bytes, and an empty payload too", () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i & 0xff);
  for (const payload of [new Uint8Array(0), bytes]) {
    const [decoded, ...others] = decodeFrames(payloadPart(payload));
    assert.deepEqual(decoded?.payload, Buffer.from(payload));
    assert.equal(decoded?.headers[":event-type"], "PayloadPart");
    assert.deepEqual(others, []);
  }
});

test("the members of an exception are JSON in UTF-8", () => {
  const [decoded] = decodeFrames(exceptionFrame("InternalStreamFailure", { Message: "é" }));
  assert.equal(decoded?.headers[":exception-type"], "InternalStreamFailure");
  assert.deepEqual(JSON.parse(String(decoded?.payload)), { Message: "é" });
});
