import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { AnswerBody } from "./answer-body.ts";

const someTurns = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const stream = () => new Readable({ read() {} });

test("what arrived before a failure is handed on, and then the failure itself", async () => {
  const source = stream();
  const body = new AnswerBody(source, 1000);
  source.push("one");
  source.push("two");
  await someTurns();
  source.destroy(Object.assign(new Error("gone"), { code: "ECONNRESET" }));
  await someTurns();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const piece of body.pieces()) seen.push(String(piece));
  })();
  await assert.rejects(reading, { code: "ECONNRESET" });
  assert.deepEqual(seen, ["one", "two"]);
});

test("a stream that closes without a word has failed; one that ends has not", async () => {
  const closed = stream();
  const body = new AnswerBody(closed, 1000);
  closed.destroy();
  await assert.rejects(body.pieces().next(), { code: "UND_ERR_SOCKET" });
  const ended = stream();
  const whole = new AnswerBody(ended, 1000);
  ended.push(null);
  assert.deepEqual(await whole.pieces().next(), { done: true, value: undefined });
});

test("who is slow to take pieces makes the other side wait, and a silence ends only while it is waited for", async () => {
  const source = stream();
  const body = new AnswerBody(source, 1);
  for (let i = 0; i < 200; i++) {
    source.push(Buffer.alloc(1));
    await someTurns();
  }
  assert.ok(source.isPaused());
  assert.ok(source.readableLength > 100);
  const pieces = body.pieces();
  for (let i = 0; i < 200; i++) assert.equal((await pieces.next()).done, false);
  await assert.rejects(pieces.next(), { code: "UND_ERR_BODY_TIMEOUT" });
  assert.ok(source.destroyed);
});

test("an unwanted body is read to its end when it is short, and ends with its connection when it is not", async () => {
  const short = stream();
  const dropping = new AnswerBody(short, 1000).drop();
  short.push("x");
  short.push(null);
  await dropping;
  assert.ok(short.readableEnded);
  for (const [length, isRead] of [
    [65_536, true],
    [65_537, false],
  ] as const) {
    const long = stream();
    const dropped = new AnswerBody(long, 1000).drop();
    long.push(Buffer.alloc(65_000));
    await someTurns();
    long.push(Buffer.alloc(length - 65_000));
    await someTurns();
    long.push(null);
    await dropped;
    assert.ok(long.destroyed);
    assert.equal(long.readableEnded, isRead, `${length} bytes`);
  }
  const slow = stream();
  await new AnswerBody(slow, 1).drop();
  assert.ok(slow.destroyed);
});
