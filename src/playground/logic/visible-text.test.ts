import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inOneLine, visibleRuns } from "./visible-text.ts";

describe("visible text", () => {
  it("does not change visible characters, also in markup", () => {
    for (const text of ["plain", "<img src=x onerror=alert(1)>", "👩‍🚀 שלום", " ".repeat(10_000)]) {
      assert.deepEqual(visibleRuns(text), [{ kind: "text", text }]);
    }
    assert.deepEqual(visibleRuns(""), []);
  });

  it("shows control characters and direction marks", () => {
    assert.deepEqual(
      visibleRuns("a\u0000\u202eb\n\u007f\t\u{e0001}").map(({ text }) => text),
      ["a", "␀", "U+202E", "b", "↵", "␡", "⇥", "U+E0001"],
    );
  });

  it("shows spaces in a single line", () => assert.equal(inOneLine(" a\n"), "␣a↵"));
});
