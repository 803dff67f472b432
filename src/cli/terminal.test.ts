import assert from "node:assert/strict";
import { test } from "node:test";
import { loadingText, Progress, painter } from "./terminal.ts";

test("colours are for terminals, unless NO_COLOR or TERM says otherwise", () => {
  const red = (isTTY: boolean, env: Record<string, string>) => painter({ isTTY }, env)("x", "red");
  assert.equal(red(true, {}), "\x1b[31mx\x1b[39m");
  assert.equal(red(true, { NO_COLOR: "" }), "\x1b[31mx\x1b[39m");
  assert.equal(red(true, { NO_COLOR: "1" }), "x");
  assert.equal(red(true, { TERM: "dumb" }), "x");
  assert.equal(red(false, {}), "x");
});

/** What is written when progress is shown at each of these times. */
function written(isTTY: boolean, times: readonly number[]): string[] {
  const texts: string[] = [];
  let now = 0;
  const stream = { isTTY, columns: 10, write: (text: string) => texts.push(text) };
  const progress = new Progress(stream, () => now);
  for (const time of times) {
    now = time;
    progress.show(`at ${time} and longer`);
  }
  progress.clear();
  progress.clear();
  return texts;
}

test("slow work is shown on a terminal after a second, at most ten times a second, and the line is removed at the end", () => {
  assert.deepEqual(written(true, [0, 999]), []);
  assert.deepEqual(written(true, [1000, 1099, 1100]), ["\r\x1b[Kat 1000 a", "\r\x1b[Kat 1100 a", "\r\x1b[K"]);
  assert.deepEqual(written(false, [5000]), []);
  assert.equal(loadingText("/models/gpt2", 0.429), "Loading gpt2 … 42 %");
});
