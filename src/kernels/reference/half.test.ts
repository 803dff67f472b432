import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromHalf, toHalf } from "./half.ts";

describe("half precision", () => {
  it("every finite half comes back from f32", () => {
    for (let bits = 0; bits < 65536; bits++) {
      if ((bits & 0x7c00) !== 0x7c00) assert.equal(toHalf(fromHalf(bits)), bits);
    }
  });

  it("rounds to the nearest, to even on a tie", () => {
    const cases: [number, number][] = [
      [1 + 2 ** -11, 1],
      [1 + 3 * 2 ** -11, 1 + 2 ** -9],
      [1 + 2 ** -11 + 2 ** -20, 1 + 2 ** -10],
      [2 ** -25, 0],
      [3 * 2 ** -25, 2 ** -23],
      [-(2 ** -14) + 2 ** -26, -(2 ** -14)],
      [2047.5, 2048],
    ];
    for (const [value, expected] of cases) assert.equal(fromHalf(toHalf(value)), expected, String(value));
  });
});
