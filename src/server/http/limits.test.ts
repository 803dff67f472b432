// Limits: a key's rate and open requests, the deadline, connections.
import assert from "node:assert/strict";
import { test } from "node:test";
import { aFront, NOW, post, STREAM_PATH } from "../../../test/support/front.ts";
import { GptError } from "../../errors.ts";
import { KeyLimits } from "../access/key-limits.ts";

test("a key may make its number of requests per second, and again when time has passed", () => {
  let now = 0;
  const limits = new KeyLimits({ keyRequestsPerSecond: 2, keyRequestsMax: 0 }, () => now);
  const refused = { type: "ThrottlingException", status: 429, details: { headers: { "retry-after": "1" } } };
  limits.enter("a");
  limits.enter("a");
  assert.throws(() => limits.enter("a"), refused);
  limits.enter("b");
  now = 499;
  assert.throws(() => limits.enter("a"), refused);
  now = 500;
  limits.enter("a");
  assert.throws(() => limits.enter("a"), refused);
  now = 60_000;
  limits.enter("a");
  limits.enter("a");
  assert.throws(() => limits.enter("a"), refused);
});

test("a key may have a number of open requests; one that ends makes room for one", () => {
  const limits = new KeyLimits({ keyRequestsPerSecond: 0, keyRequestsMax: 2 }, () => 0);
  const leave = limits.enter("a");
  limits.enter("a");
  assert.throws(() => limits.enter("a"), { type: "ThrottlingException" });
  limits.enter("b");
  leave();
  leave();
  limits.enter("a");
  assert.throws(() => limits.enter("a"), { type: "ThrottlingException" });
});

test("a key is remembered while it has open requests or an unfilled bucket, and no longer", () => {
  let now = 0;
  const limits = new KeyLimits({ keyRequestsPerSecond: 2, keyRequestsMax: 3 }, () => now);
  const leaveLong = limits.enter("long");
  limits.enter("hammer")();
  for (let i = 0; i < 10_000; i++) {
    now += 1;
    limits.enter(`key ${i}`)();
    // A key that is refused repeatedly does not keep others from being forgotten.
    try {
      limits.enter("hammer")();
    } catch {}
    assert.ok(limits.size <= 1003, `${limits.size} after ${i}`);
  }
  now += 1000;
  limits.enter("last")();
  assert.equal(limits.size, 2);
  limits.enter("long");
  leaveLong();
  assert.equal(limits.size, 2);
  const unlimited = new KeyLimits({ keyRequestsPerSecond: 0, keyRequestsMax: 0 }, () => 0);
  const leaves = Array.from({ length: 100 }, (_, i) => unlimited.enter(`key ${i}`));
  for (const leave of leaves) leave();
  assert.equal(unlimited.size, 0);
});

test("a key that is refused again and again keeps no others from being forgotten", () => {
  let now = 0;
  const limits = new KeyLimits({ keyRequestsPerSecond: 1, keyRequestsMax: 0 }, () => now);
  limits.enter("hammer")();
  now = 100;
  limits.enter("other")();
  now = 900;
  assert.throws(() => limits.enter("hammer"), { status: 429 });
  now = 1100;
  limits.enter("last")();
  assert.equal(limits.size, 2, "hammer and last");
});

test("a key whose bucket is not full is not forgotten", () => {
  let now = 0;
  const limits = new KeyLimits({ keyRequestsPerSecond: 1, keyRequestsMax: 0 }, () => now);
  limits.enter("a")();
  for (now = 125; now < 1000; now += 125) {
    limits.enter(`other ${now}`)();
    assert.throws(() => limits.enter("a"), { status: 429 });
  }
  now = 1000;
  limits.enter("a")();
  assert.throws(() => limits.enter("a"), { status: 429 });
});

test("the limits of a key are settings of the server, and refused requests do not count", async () => {
  const { app, generator } = aFront({ keyRequestsPerSecond: 3, keyRequestsMax: 1 });
  generator.waits = true;
  const first = post(app, { input: "" });
  await generator.wasAsked;
  const second = await post(app, { input: "" });
  assert.deepEqual([second.statusCode, second.headers["x-amzn-errortype"]], [429, "ThrottlingException"]);
  assert.equal(second.headers["retry-after"], "1");
  assert.match(second.json().message, /^1 requests of this key are open/);
  generator.cancel();
  assert.equal((await first).statusCode, 503);
  const other = aFront({ keyRequestsPerSecond: 1 });
  assert.equal((await post(other.app, { input: 5 })).statusCode, 424);
  assert.match((await post(other.app, { input: "" })).json().message, /^Rate exceeded/);
});

test("a request that is not answered in time is a ModelError in SageMaker's words", async () => {
  for (const options of [{}, { path: STREAM_PATH }]) {
    const { app, generator } = aFront();
    generator.failure = new GptError("timed_out", "late");
    const response = await post(app, { input: "" }, options);
    assert.deepEqual([response.statusCode, response.headers["x-amzn-errortype"]], [424, "ModelError"]);
    const { Message, OriginalStatusCode } = response.json();
    assert.equal(OriginalStatusCode, 0);
    assert.match(
      Message,
      /^Received server error \(0\) from primary with message "Your invocation timed out while/,
    );
  }
});

test("a change of the system clock is logged; signatures use the new time, limits do not", async () => {
  const log: string[] = [];
  const stream = { write: (line: string) => void log.push(line) };
  let now = NOW;
  const front = aFront({ keyRequestsPerSecond: 2 }, { now: () => now, logger: { level: "warn", stream } });
  const status = async (signed: Date) => (await post(front.app, { input: "" }, { now: signed })).statusCode;
  assert.equal(await status(now), 200);
  now = new Date(NOW.getTime() - 9_000);
  assert.equal(await status(now), 200);
  assert.deepEqual(log, []);
  now = new Date(NOW.getTime() + 3_600_000);
  assert.equal(await status(NOW), 403);
  assert.equal(await status(now), 429);
  assert.equal(log.length, 1);
  assert.match(
    log[0] ?? "",
    /"The system clock went 3609 seconds forward at once: it was set, or the machine slept/,
  );
});

test("connections and idle time are bounded by the settings", () => {
  const { app } = aFront({ connectionsMax: 7, requestDeadlineMs: 600_000, keepAliveTimeoutMs: 5000 });
  assert.equal(app.server.maxConnections, 7);
  assert.equal(app.server.timeout, 630_000);
  assert.equal(app.server.keepAliveTimeout, 5000);
  assert.equal(app.initialConfig.pluginTimeout, 0);
});
