import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TokenBytes } from "./decoding-params.ts";
import { uniform } from "./random.ts";
import { heldBack, type StopMatch, stopMatch } from "./stop-strings.ts";

const utf8 = new TextEncoder();

/** A vocabulary of these tokens, in this order. An empty string stands for a special token. */
function vocabulary(tokens: readonly (string | Uint8Array)[]): TokenBytes {
  const parts = tokens.map((token) => (typeof token === "string" ? utf8.encode(token) : token));
  const offsets = new Uint32Array(tokens.length + 1);
  for (const [i, part] of parts.entries()) offsets[i + 1] = (offsets[i] as number) + part.length;
  return { bytes: Uint8Array.from(parts.flatMap((part) => [...part])), offsets };
}

/** Adds the tokens one by one and returns where the text ended, in tokens and bytes. */
function run(
  stops: readonly string[],
  tokens: readonly (string | Uint8Array)[],
  prompt: readonly (string | Uint8Array)[] = [],
): (StopMatch & { readonly numTokens: number }) | undefined {
  const bytes = vocabulary([...prompt, ...tokens]);
  const encoded = stops.map((stop) => utf8.encode(stop));
  for (let count = 1; count <= tokens.length; count++) {
    const ids = Array.from({ length: prompt.length + count }, (_, i) => i);
    const match = stopMatch(encoded, bytes, ids, prompt.length);
    if (match) return { ...match, numTokens: count };
  }
  return undefined;
}

describe("a stop string", () => {
  it("inside one token, over two and over three", () => {
    assert.deepEqual(run(["b"], ["abc"]), { index: 0, keptBytes: 1, numTokens: 1 });
    assert.deepEqual(run(["bc"], ["ab", "cd"]), { index: 0, keptBytes: 1, numTokens: 2 });
    assert.deepEqual(run(["bcd"], ["ab", "c", "de"]), { index: 0, keptBytes: 1, numTokens: 3 });
  });

  it("with the bytes of one character in two tokens", () => {
    const [first, second] = [utf8.encode("é").slice(0, 1), utf8.encode("é").slice(1)];
    assert.deepEqual(run(["é"], ["a", first, second]), { index: 0, keptBytes: 1, numTokens: 3 });
    assert.equal(run(["\uFFFD"], ["a", first]), undefined);
  });

  it("at the very first token, and not in the prompt or across its end", () => {
    assert.deepEqual(run(["a"], ["a"], ["a"]), { index: 0, keptBytes: 0, numTokens: 1 });
    assert.equal(run(["xy"], ["y", "z"], ["x"]), undefined);
  });

  it("of two that one token completes, the one that ends first", () => {
    assert.deepEqual(run(["cd", "b"], ["abcd"]), { index: 1, keptBytes: 1, numTokens: 1 });
  });

  it("of two that end at the same byte, the longer one", () => {
    assert.deepEqual(run(["man", "a man"], [" a ", "man"]), { index: 1, keptBytes: 1, numTokens: 2 });
    assert.deepEqual(run(["a man", "man"], [" a ", "man"]), { index: 0, keptBytes: 1, numTokens: 2 });
  });

  it("that is the beginning of another one ends the text first", () => {
    assert.deepEqual(run(["stop", "st"], ["s", "top"]), { index: 1, keptBytes: 0, numTokens: 2 });
  });

  it("after a false start", () => {
    assert.deepEqual(run(["stop"], ["st", "ay", " sto", "p it"]), { index: 0, keptBytes: 5, numTokens: 4 });
    assert.deepEqual(run(["aab"], ["a", "a", "a", "b"]), { index: 0, keptBytes: 1, numTokens: 4 });
  });

  it("does not see special tokens, which have no bytes", () => {
    assert.deepEqual(run(["ab"], ["a", "", "b"]), { index: 0, keptBytes: 0, numTokens: 3 });
    assert.equal(run(["a"], [""]), undefined);
  });

  it("finds what a search of the whole text finds, for random texts and cuts", () => {
    const draw = (seed: number, i: number, n: number): number => Math.floor(uniform(seed, i, 0) * n);
    for (let seed = 0; seed < 2000; seed++) {
      const word = (at: number, length: number): string =>
        Array.from({ length }, (_, i) => "abc"[draw(seed, at + i, 3)]).join("");
      const stops = Array.from({ length: 1 + draw(seed, 1, 3) }, (_, i) => word(100 * i + 10, 1 + (i % 4)));
      const tokens = Array.from({ length: 12 }, (_, i) => word(1000 + 10 * i, 1 + draw(seed, 2 + i, 4)));
      const text = tokens.join("");
      const ends = stops.map((stop) => (text.includes(stop) ? text.indexOf(stop) + stop.length : Infinity));
      const end = Math.min(...ends);
      const lengths = stops.filter((_, i) => ends[i] === end).map((stop) => stop.length);
      const expected = end === Infinity ? undefined : end - Math.max(...lengths);
      assert.equal(run(stops, tokens)?.keptBytes, expected, `${stops} in ${tokens.join("|")}`);
    }
  });
});

describe("what a stream holds back", () => {
  const held = (stops: readonly string[], text: string): number =>
    heldBack(
      stops.map((stop) => utf8.encode(stop)),
      utf8.encode(text),
    );

  it("is the longest end that begins a stop string", () => {
    assert.equal(held(["stop"], "I sto"), 3);
    assert.equal(held(["stop", " stay"], "I st"), 3);
    assert.equal(held(["aab"], "caa"), 2);
    assert.equal(held(["stop"], "stay"), 0);
  });

  it("is never a whole stop string, and nothing without any", () => {
    assert.equal(held(["a"], "aaa"), 0);
    assert.equal(held([], "aaa"), 0);
    assert.equal(held(["stop"], ""), 0);
  });
});
