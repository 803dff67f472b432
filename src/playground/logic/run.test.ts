import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EndEvent, PlaygroundEvent, TracedToken } from "../../dialects/playground/events.ts";
import { runAsJson, runAsMarkdown } from "./export.ts";
import { continuation, idsUpTo, newRun, type Run, textOf, withEvent, withSeedOf } from "./run.ts";

const token = (id: number, text: string): TracedToken => ({ id, name: text, text, logprob: -1 });

const START: PlaygroundEvent = {
  type: "start",
  version: 1,
  seed: 7,
  prompt: [token(1, "a"), token(2, "b")],
  text: "ab",
};

function end(texts: readonly (readonly TracedToken[])[]): EndEvent {
  return {
    type: "end",
    seed: 7,
    promptTokens: 2,
    cachedTokens: 0,
    generatedTokens: 3,
    queueMs: 1,
    firstTokenMs: 2,
    totalMs: 3,
    fingerprint: null,
    answer: ["abcd"],
    sequences: texts.map((rest) => ({ text: "whole", tokenIds: [], rest, finishReason: "length" as const })),
  };
}

/** A model with this context length and the default `max_length` of 20. */
const endpoint = (contextLength: number) => ({
  contextLength,
  fields: [{ name: "max_length", help: "", range: "", type: "integer" as const, default: 20 }],
});

const after = (...events: PlaygroundEvent[]): Run => events.reduce(withEvent, newRun(1, { input: "ab" }));

describe("a run", () => {
  it("grows with its events, without changing earlier states", () => {
    const begun = after(START);
    const grown = withEvent(begun, { type: "tokens", sequence: 1, tokens: [token(3, "c")] });
    assert.equal(begun.sequences.length, 0);
    assert.equal(grown.sequences.length, 2);
    assert.equal(textOf(grown, 1), "abc");
    const more = withEvent(grown, { type: "tokens", sequence: 1, tokens: [token(4, "d")] });
    assert.notEqual(more.sequences[1], grown.sequences[1], "who compares sees a new object");
    assert.equal(more.sequences[0], grown.sequences[0], "and the old one where nothing changed");
    assert.deepEqual([grown.sequences[1]?.numTokens, more.sequences[1]?.numTokens], [1, 2]);
  });

  it("takes the rest from its last event", () => {
    const run = after(
      START,
      { type: "tokens", sequence: 0, tokens: [token(3, "c")] },
      end([[token(4, "d")]]),
    );
    assert.equal(run.status, "done");
    assert.deepEqual(idsUpTo(run, 0, 9), [1, 2, 3, 4]);
    assert.equal(textOf(run, 0), "whole");
  });

  it("ignores unknown events, and fails with an error event", () => {
    const run = after(START, { type: "later" } as never);
    assert.equal(run.status, "running");
    const failed = withEvent(run, { type: "error", error: { code: "c", message: "m" } });
    assert.deepEqual([failed.status, failed.error?.message], ["failed", "m"]);
  });

  it("continues from a token with the length that is left", () => {
    const next = continuation(
      { input: "ab", max_length: 10, seed: 7, top_k: 5 },
      [1, 2, 3, 9],
      2,
      endpoint(64),
    );
    assert.deepEqual(next, {
      seed: 7,
      top_k: 5,
      prompt_token_ids: [1, 2, 3, 9],
      num_return_sequences: 1,
      max_new_tokens: 6,
    });
  });

  it("continues from the end with as many tokens again, up to the context length", () => {
    const ids = Array.from({ length: 10 }, (_, i) => i);
    assert.equal(continuation({ max_length: 10 }, ids, 2, endpoint(64)).max_new_tokens, 8);
    assert.equal(continuation({ max_new_tokens: 8 }, ids, 2, endpoint(13)).max_new_tokens, 3);
    assert.equal(continuation({}, ids, 2, endpoint(64)).max_new_tokens, 10);
    assert.equal(continuation({}, ids, 2, endpoint(10)).max_new_tokens, 0);
  });
});

describe("the body in the form", () => {
  it("has the seed of the run that it made, and of no other", () => {
    const run = after(START);
    assert.deepEqual(withSeedOf({ input: "ab" }, run), { input: "ab", seed: 7 });
    assert.deepEqual(withSeedOf({ input: "ab", seed: 1 }, run), { input: "ab", seed: 1 });
    assert.deepEqual(withSeedOf({ input: "ab", top_k: 3 }, run), { input: "ab", top_k: 3 });
    assert.deepEqual(withSeedOf({ input: "ab" }, undefined), { input: "ab" });
  });
});

describe("an exported run", () => {
  const hostile = "```\n<img src=x onerror=alert(1)>\n````";
  const run = after(START, end([[token(3, hostile)]]));
  const told: Run = { ...run, sequences: run.sequences.map(({ end: _, ...rest }) => rest) };

  it("keeps any generated text inside its fence in Markdown", () => {
    const lines = runAsMarkdown(told).split("\n");
    const from = lines.indexOf("`````text");
    const to = lines.indexOf("`````");
    assert.ok(from > 0 && to > from);
    assert.equal(lines.slice(from + 1, to).join("\n"), `ab${hostile}`);
  });

  it("is JSON with the request, the seed and every token", () => {
    const { request, seed, sequences } = JSON.parse(runAsJson(told));
    assert.deepEqual([request, seed, sequences[0].text], [{ input: "ab" }, 7, `ab${hostile}`]);
    assert.equal(sequences[0].tokens[0].id, 3);
  });
});
