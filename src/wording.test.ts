import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { describeValue, expectation, fieldsOf, jsonLine, nearest, quote } from "./wording.ts";

test("a schema says what it expects", () => {
  const fields = fieldsOf(
    z.strictObject({
      bounded: z.int().min(1).max(256),
      open: z.int().min(0),
      share: z.number().min(0).max(1),
      positive: z.number().gt(0),
      choice: z.enum(["beam", "greedy"]),
      text: z.string(),
      maybe: z.int().min(-1).max(5).nullable(),
      many: z.array(z.string()),
      any: z.number(),
    }),
  );
  const texts = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, expectation(field)]));
  assert.deepEqual(texts, {
    bounded: "an integer from 1 to 256",
    open: "an integer of at least 0",
    share: "a number from 0 to 1",
    positive: "a number greater than 0",
    choice: "one of beam, greedy",
    text: "a string",
    maybe: "an integer from -1 to 5 or null",
    many: "a list, each entry a string",
    any: "a number",
  });
});

test("a value is describeValue with its type where that is not obvious, and cut when it is long", () => {
  assert.equal(describeValue("ten"), '"ten" (a string)');
  assert.equal(describeValue(true), "true (a boolean)");
  assert.equal(describeValue(300), "300");
  assert.equal(describeValue(null), "null");
  assert.equal(describeValue([1]), "a list");
  assert.equal(describeValue({}), "an object");
  assert.equal(quote("a".repeat(1000)).length, 63);
});

test("the nearest known name is found, and nothing is guessed for what is like none of them", () => {
  const known = ["input", "max_length", "max_new_tokens", "seed"];
  assert.equal(nearest("max_lenght", known), "max_length");
  assert.equal(nearest("inputs", known), "input");
  assert.equal(nearest("Seed", known), "seed");
  assert.equal(nearest("frequency_penalty", known), undefined);
  assert.equal(nearest("", known), undefined);
  assert.equal(nearest("x".repeat(1_000_000), known), undefined);
});

test("a line of JSON has no line end of any kind inside, and is read as it was", () => {
  const value = { text: "\n\r\v\f\u001c\u001d\u001e\u0085\u2028\u2029é\u{1f388}" };
  const line = jsonLine(value);
  assert.match(line, /^[^\p{Cc}\u2028\u2029]+\n$/u);
  assert.deepEqual(JSON.parse(line), value);
  assert.ok(line.includes("é\u{1f388}"));
});
