// A decoder of event-stream frames that checks every length and checksum, for tests of what the server sends.
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";

export interface Frame {
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Buffer;
}

/** All frames in these bytes. Bytes that are not a complete and correct frame fail the test. */
export function decodeFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let start = 0; start < bytes.length; ) {
    const length = bytes.readUInt32BE(start);
    const message = bytes.subarray(start, start + length);
    assert.equal(message.length, length, "the last frame is cut");
    const headersEnd = 12 + message.readUInt32BE(4);
    assert.equal(message.readUInt32BE(8), crc32(message.subarray(0, 8)), "checksum of the prelude");
    assert.equal(message.readUInt32BE(length - 4), crc32(message.subarray(0, length - 4)), "checksum");
    frames.push({
      headers: decodeHeaders(message.subarray(12, headersEnd)),
      payload: Buffer.from(message.subarray(headersEnd, length - 4)),
    });
    start += length;
  }
  return frames;
}

function decodeHeaders(bytes: Buffer): Record<string, string> {
  const headers: Record<string, string> = {};
  let at = 0;
  const take = (length: number): Buffer => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const name = take(take(1).readUInt8()).toString();
    assert.equal(take(1).readUInt8(), 7, "only strings are expected");
    assert.ok(!(name in headers), `the header ${name} is repeated`);
    headers[name] = take(take(2).readUInt16BE()).toString();
  }
  return headers;
}

/** The payloads of all parts, joined. Any other frame fails the test. */
export function joinedParts(bytes: Buffer): string {
  const parts = decodeFrames(bytes).map(({ headers, payload }) => {
    assert.equal(headers[":event-type"], "PayloadPart", String(payload));
    return payload;
  });
  return Buffer.concat(parts).toString();
}
