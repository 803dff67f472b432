import assert from "node:assert/strict";
import { test } from "node:test";
import { giveWay } from "./niceness.ts";

function niceness(platform: string, before: number): number {
  let now = before;
  giveWay({
    platform,
    getPriority: () => now,
    setPriority: (_, niceness) => {
      now = niceness;
    },
  });
  return now;
}

test("threads that compute give way on Linux, and stay nicer than that where they are", () => {
  assert.equal(niceness("linux", 0), 5);
  assert.equal(niceness("linux", -10), 5);
  assert.equal(niceness("linux", 10), 10);
  assert.equal(niceness("darwin", 0), 0);
});

test("where priorities may not be set, or not even be read, the start goes on", () => {
  const forbidden = (): never => {
    throw Object.assign(new Error("uv_os_setpriority returned EPERM"), { code: "ERR_SYSTEM_ERROR" });
  };
  giveWay({ platform: "linux", getPriority: () => 0, setPriority: forbidden });
  giveWay({ platform: "linux", getPriority: forbidden, setPriority: forbidden });
});
