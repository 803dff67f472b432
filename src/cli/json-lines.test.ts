import assert from "node:assert/strict";
import { test } from "node:test";
import { GptError } from "../errors.ts";
import { errorLine, parseLine, splitLines } from "./json-lines.ts";

async function lines(chunks: readonly string[], lineBytesMax = 100): Promise<[number, string | undefined][]> {
  async function* buffers(): AsyncGenerator<Buffer> {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const found: [number, string | undefined][] = [];
  for await (const { number, bytes } of splitLines(buffers(), lineBytesMax)) {
    found.push([number, bytes && Buffer.from(bytes).toString()]);
  }
  return found;
}

test("a line ends with a line feed and nothing else, however its bytes are cut into chunks", async () => {
  const whole = [
    [1, "a\u2028b\u0085"],
    [2, ""],
    [3, "ü\r"],
    [4, "end"],
  ];
  const text = "a\u2028b\u0085\n\nü\r\nend";
  assert.deepEqual(await lines([text]), whole);
  assert.deepEqual(await lines([...text]), whole);
  assert.deepEqual(await lines([`${text}\n`]), whole);
  assert.deepEqual(await lines([]), []);
});

test("a line that is too long is dropped, and the next one is read", async () => {
  const found = await lines(["abc\nabcd", "e\nab", "c"], 3);
  assert.deepEqual(found, [
    [1, "abc"],
    [2, undefined],
    [3, "abc"],
  ]);
  assert.throws(() => parseLine({ number: 2, bytes: undefined }, 3), {
    code: "invalid_body",
    message: "the line has more than 3 bytes, see --body-bytes-max",
  });
});

test("a GptError is printed in place of an answer; any other error is thrown", () => {
  const line = { number: 7, bytes: undefined };
  assert.deepEqual(JSON.parse(errorLine(line, new GptError("invalid_json", "no"))), {
    error: { line: 7, code: "invalid_json", message: "no" },
  });
  assert.throws(() => errorLine(line, new TypeError("defect")), TypeError);
});
