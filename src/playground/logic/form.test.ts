// The form, tested with the server's real list of parameters.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Field } from "../../dialects/playground/events.ts";
import { bodyOf, entriesOf, fieldGroups, parseEntry } from "./form.ts";

const FIELDS: readonly Field[] = [
  { name: "mode", help: "", range: "", type: "enum", values: ["a", "b"], default: "a" },
  {
    name: "max_length",
    help: "",
    range: "an integer from 1 to 10",
    type: "integer",
    minimum: 1,
    maximum: 10,
    default: 5,
  },
  { name: "seed", help: "", range: "", type: "integer", default: null },
  {
    name: "top_p",
    help: "",
    range: "a number from 0 to 1",
    type: "number",
    minimum: 0,
    maximum: 1,
    default: 0.9,
    modes: ["a"],
  },
  {
    name: "temperature",
    help: "",
    range: "",
    type: "number",
    minimum: 0,
    isAbove: true,
    default: 1,
    modes: ["b"],
  },
  { name: "no_repeat_ngram_size", help: "", range: "", type: "integer", minimum: 0, default: 2 },
  { name: "stop", help: "", range: "a string, or a list", type: "json" },
  { name: "logit_bias", help: "", range: "an object", type: "json" },
  { name: "ignore_eos", help: "", range: "true or false", type: "boolean", default: false },
  { name: "logprobs", help: "", range: "", type: "integer" },
];
const FACTS = {
  modes: [
    { name: "a", reads: ["top_p"], help: "" },
    { name: "b", reads: ["temperature"], help: "" },
  ],
};
const names = (fields: readonly Field[]): string[] => fields.map(({ name }) => name);
const field = (name: string): Field => FIELDS.find((other) => other.name === name) as Field;

describe("the form", () => {
  it("shows only the parameters that a mode reads", () => {
    const { ofMode, lengthAndSeed, further } = fieldGroups(FIELDS, "b");
    assert.deepEqual(names(ofMode), ["temperature"]);
    assert.deepEqual(names(lengthAndSeed), ["max_length", "seed"]);
    assert.deepEqual(names(further), ["no_repeat_ngram_size", "stop", "logit_bias", "ignore_eos"]);
  });

  it("reads boxes by the type and the range of their parameters", () => {
    const good: readonly [string, string, unknown][] = [
      ["max_length", " 7 ", 7],
      ["top_p", "0", 0],
      ["top_p", ".5", 0.5],
      ["ignore_eos", "true", true],
      ["stop", '["a", "b"]', ["a", "b"]],
      ["stop", "The end", "The end"],
      ["logit_bias", '{"262": -5}', { 262: -5 }],
      ["mode", "b", "b"],
    ];
    for (const [name, text, value] of good)
      assert.deepEqual(parseEntry(field(name), text), { value }, `${name} ${text}`);
    const bad = [
      ["max_length", "7.5"],
      ["max_length", "11"],
      ["max_length", "many"],
      ["top_p", "1.1"],
      ["temperature", "0"],
      ["logit_bias", "{"],
      ["mode", "c"],
      ["seed", "Infinity"],
    ] as const;
    for (const [name, text] of bad) assert.ok("problem" in parseEntry(field(name), text), `${name} ${text}`);
  });

  it("sends only parameters that differ from the defaults and that the mode reads", () => {
    const entries = { max_length: "5", top_p: "0.5", temperature: "2", seed: "1", no_repeat_ngram_size: "2" };
    assert.deepEqual(bodyOf(FACTS, FIELDS, "a", entries), {
      body: { seed: 1, top_p: 0.5, no_repeat_ngram_size: 2 },
      problems: {},
    });
    assert.deepEqual(bodyOf(FACTS, FIELDS, "b", entries).body, {
      mode: "b",
      seed: 1,
      temperature: 2,
      no_repeat_ngram_size: 2,
    });
  });

  it("names the box that is wrong", () => {
    assert.deepEqual(bodyOf(FACTS, FIELDS, "a", { max_length: "0" }).problems, {
      max_length: "must be an integer from 1 to 10",
    });
  });

  it("can be filled from a body that it made", () => {
    const entries = { seed: "1", top_p: "0.5", stop: '["a"]', logit_bias: '{"1":2}', ignore_eos: "true" };
    assert.deepEqual(entriesOf(bodyOf(FACTS, FIELDS, "a", entries).body, FIELDS), entries);
  });
});
