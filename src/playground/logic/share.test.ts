import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromFragment, LINK_CHARACTERS_MAX, toFragment } from "./share.ts";

describe("a link", () => {
  it("returns any text that was put in", () => {
    for (const input of ["", "plain", "é👩‍🚀\u0000 שלום <img>&#%", "\ud800"]) {
      const parameters = { input, seed: 4294967295, stop: ["a", "\n"], top_p: 0.92 };
      const fragment = toFragment(parameters) as string;
      assert.match(fragment, /^#1\.[\w-]+$/);
      assert.deepEqual(fromFragment(fragment), JSON.parse(JSON.stringify(parameters)));
    }
  });

  it("is not made for a text that is too long", () => {
    assert.equal(toFragment({ input: "a".repeat(LINK_CHARACTERS_MAX) }), undefined);
  });

  it("is refused if it was changed", () => {
    const good = toFragment({ input: "x" }) as string;
    const list = `#1.${btoa("[1]").replaceAll("=", "")}`;
    for (const bad of [
      "",
      "#",
      "#1.",
      "#2" + good.slice(2),
      good + "!",
      good.slice(0, -2),
      "#1.____",
      list,
    ]) {
      assert.equal(fromFragment(bad), undefined, bad);
    }
  });
});
