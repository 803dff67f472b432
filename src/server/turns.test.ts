import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred } from "../../test/support/sockets.ts";
import { Turns } from "./turns.ts";

test("work begins when what was ordered before is over, well or badly", async () => {
  const turns = new Turns();
  const { promise, release } = deferred();
  const told: string[] = [];
  const first = turns.next(async () => {
    await promise;
    told.push("first");
    throw new Error("in vain");
  });
  const second = turns.next(async () => {
    told.push("second");
    return 2;
  });
  release();
  await assert.rejects(first, { message: "in vain" });
  assert.equal(await second, 2);
  assert.deepEqual(told, ["first", "second"]);
});
