import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { aFront, PATH, signedHeaders } from "../../test/support/front.ts";
import { drain } from "./runtime.ts";

test("a stop waits for open requests, and after its time cancels them and tells their callers", async (context) => {
  const { app, generator } = aFront();
  await app.listen({ host: "127.0.0.1", port: 0 });
  const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  generator.waits = true;
  const body = '{"input":""}';
  const headers = signedHeaders(body, { origin });
  const answer = fetch(origin + PATH, { method: "POST", headers, body });
  await generator.wasAsked;
  await new Promise((resolve) => setImmediate(resolve));
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let closings = 0;
  const models = {
    async close() {
      closings++;
      generator.cancel();
    },
  };
  const drained = drain([app], models, 5000);
  context.mock.timers.tick(4999);
  assert.equal(closings, 0);
  context.mock.timers.tick(1);
  assert.equal(closings, 1);
  const { status, headers: told } = await answer;
  assert.deepEqual([status, told.get("x-amzn-errortype")], [503, "ServiceUnavailable"]);
  await drained;
  assert.equal(closings, 2);
});
