import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalId, label, parseRepository, shortName, twinOf } from "./repository.ts";

test("names, revisions and addresses of a model's page", () => {
  const cases: [text: string, id: string, revision: string][] = [
    ["gpt2", "gpt2", "main"],
    ["openai-community/gpt2", "openai-community/gpt2", "main"],
    ["gpt2@v1.0", "gpt2", "v1.0"],
    ["microsoft/DialoGPT-medium@refs/pr/22", "microsoft/DialoGPT-medium", "refs/pr/22"],
    ["https://huggingface.co/gpt2", "gpt2", "main"],
    ["https://huggingface.co/owner/name/", "owner/name", "main"],
    ["https://huggingface.co/owner/name?library=transformers#files", "owner/name", "main"],
    ["https://huggingface.co/owner/name/tree/refs%2Fpr%2F1", "owner/name", "refs/pr/1"],
    ["https://hf.co/owner/name/tree/main", "owner/name", "main"],
    ["hf://owner/name", "owner/name", "main"],
    ["hf://models/owner/name@dev", "owner/name", "dev"],
    [`_a.b-c/D_9@${"0".repeat(40)}`, "_a.b-c/D_9", "0".repeat(40)],
    ["a".repeat(96), "a".repeat(96), "main"],
  ];
  for (const [text, id, revision] of cases) assert.deepEqual(parseRepository(text), { id, revision }, text);
});

test("what cannot be a name never becomes a request", () => {
  const bad = [
    "",
    "a/b/c",
    "a//b",
    "-a",
    "a-",
    ".a",
    "a.",
    "a--b",
    "a..b",
    "a.git",
    "owner/a.git",
    "a b",
    "ä",
    "a/",
    "a%2fb",
    "a\nb",
    "a".repeat(97),
    "gpt2@",
    "gpt2@-x",
    "gpt2@/x",
    "gpt2@a/../b",
    "gpt2@a//b",
    "gpt2@a/./b",
    "gpt2@a b",
    `gpt2@${"a".repeat(201)}`,
    "gpt2@a@b",
    "https://example.org/owner/name",
    "https://huggingface.co.evil.example/owner/name",
    "https://huggingface.co/datasets/owner/name",
    "https://huggingface.co/owner/name/tree/%zz",
    "https://huggingface.co/owner/name/blob/main/config.json",
    "hf://datasets/owner/name",
    "hf://spaces/owner/name",
    "hf://",
  ];
  for (const text of bad) {
    assert.throws(() => parseRepository(text), {
      code: "invalid_config",
      message: /cannot be looked up on a hub: /,
    });
  }
  assert.throws(() => parseRepository("a--b"), { message: /^"a--b" .* a name is gpt2 or owner\/name/ });
});

test("GPT-2's own repositories have two names, and others one", () => {
  assert.equal(twinOf("gpt2"), "openai-community/gpt2");
  assert.equal(twinOf("openai-community/gpt2-xl"), "gpt2-xl");
  assert.equal(twinOf("distilgpt2"), "distilbert/distilgpt2");
  assert.equal(twinOf("owner/gpt2"), undefined);
  assert.equal(canonicalId("gpt2-medium"), "openai-community/gpt2-medium");
  assert.equal(canonicalId("owner/name"), "owner/name");
  assert.equal(shortName("owner/name"), "name");
  assert.equal(shortName("gpt2"), "gpt2");
  assert.equal(
    label("gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
    "openai-community/gpt2 at 607a30d7",
  );
});
