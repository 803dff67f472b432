import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventReader } from "./server-sent-events.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("server-sent events", () => {
  const stream = bytes(
    ': hello\n\nevent: token\r\ndata: {"é":"👩‍🚀"}\r\n\r\ndata: a\ndata:b\n\nevent: nothing\n\n',
  );
  const expected = [
    { name: "token", data: '{"é":"👩‍🚀"}' },
    { name: "message", data: "a\nb" },
  ];

  it("are the same wherever the bytes are cut", () => {
    for (let size = 1; size <= stream.length; size++) {
      const reader = new EventReader();
      const events = [];
      for (let at = 0; at < stream.length; at += size)
        events.push(...reader.push(stream.subarray(at, at + size)));
      assert.deepEqual(events, expected, `pieces of ${size} bytes`);
    }
  });

  it("wait for their empty line", () => {
    const reader = new EventReader();
    assert.deepEqual(reader.push(bytes("data: x\n")), []);
    assert.deepEqual(reader.push(bytes("\n")), [{ name: "message", data: "x" }]);
  });
});
