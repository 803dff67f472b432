import assert from "node:assert/strict";
import { test } from "node:test";
import { PassTimes } from "./pass-times.ts";

function measured(...passes: readonly (readonly [rows: number, time: number])[]): PassTimes {
  const times = new PassTimes();
  for (const [rows, time] of passes) times.observe(rows, time);
  return times;
}

const threeTimes = (rows: number, time: number) => Array.from({ length: 3 }, () => [rows, time] as const);

test("the time of a pass is the median of the last five", () => {
  assert.equal(measured([2, 7], [2, 900], [2, 8]).of(2), 8);
  assert.equal(measured(...threeTimes(2, 100), ...threeTimes(2, 7), [2, 8], [2, 9], [2, 9]).of(2), 8);
});

test("where nothing was measured, more rows take longer, and fewer than in proportion", () => {
  for (const times of [new PassTimes(), measured(...threeTimes(4, 10))]) {
    for (let rows = 1; rows < 40; rows++) {
      assert.ok(times.of(rows + 1) > times.of(rows));
      assert.ok(times.of(rows + 1) / times.of(rows) <= (rows + 1) / rows);
    }
  }
});

test("it follows from the nearest number of rows, of which one or two passes are not believed", () => {
  const times = measured(...threeTimes(1, 100), [3, 1], [3, 1], ...threeTimes(30, 1000));
  const ratio = (rows: number) => new PassTimes().of(rows);
  assert.equal(times.of(2), (100 * ratio(2)) / ratio(1));
  assert.equal(times.of(3), (100 * ratio(3)) / ratio(1));
  assert.equal(times.of(29), (1000 * ratio(29)) / ratio(30));
});

test("times that are old are measured anew", () => {
  const times = measured(...threeTimes(8, 500), ...threeTimes(1, 100));
  for (let i = 0; i < 5000; i++) times.observe(1, 100);
  assert.ok(times.of(8) < 300);
  for (const [rows, time] of threeTimes(8, 400)) times.observe(rows, time);
  assert.equal(times.of(8), 400);
});
