import assert from "node:assert/strict";
import { test } from "node:test";
import { anchorsOf, blocksOf, commandsOf, linksOf, shellLinesOf, spansOf, unindentedOf } from "./markdown.ts";

const PAGE = [
  "# One `code`, and more!",
  'See [a](b.md#c), ![d](e.png "title") and `[no](link)`, [f](g_(h).md).',
  "[name]: target.md",
  "```sh",
  "gpt2-api serve \\",
  "  --port 1 # [no](link)",
  "npm test",
  "```",
  "## One `code`, and more!",
  '<a id="by-hand"></a> ``two `ticks` `` and `one`',
  "~~~json",
  "npm run nothing",
  "~~~",
].join("\n");

test("links are found outside of code", () => {
  assert.deepEqual(linksOf(PAGE), [
    { target: "b.md#c", line: 2 },
    { target: "e.png", line: 2 },
    { target: "g_(h).md", line: 2 },
    { target: "target.md", line: 3 },
  ]);
});

test("headings have GitHub's anchors; a repeated one gets a number", () => {
  assert.deepEqual([...anchorsOf(PAGE)], ["one-code-and-more", "one-code-and-more-1", "by-hand"]);
  assert.deepEqual([...anchorsOf("## `--a-b`: [Über](x.md) 2.0")], ["--a-b-über-20"]);
});

test("code spans are found in prose, and commands in shell blocks, on one line or several", () => {
  assert.deepEqual(
    spansOf(PAGE).map(({ text }) => text),
    ["code", "[no](link)", "code", "two `ticks`", "one"],
  );
  assert.deepEqual(shellLinesOf(PAGE), [
    { text: "gpt2-api serve  --port 1 # [no](link)", line: 5 },
    { text: "npm test", line: 7 },
  ]);
});

test("lines of list items that are not indented are found, outside of code", () => {
  const page = [
    "- one",
    "  two",
    "three",
    "",
    "text",
    "10. ten",
    "   nine",
    "```",
    "code",
    "```",
    "# Heading",
    "text",
  ];
  assert.deepEqual(
    unindentedOf(page.join("\n")).map(({ line }) => line),
    [3, 7],
  );
});

test("a command line is split as a shell does it", () => {
  assert.deepEqual(commandsOf("npm ci && npm start # both"), [
    ["npm", "ci"],
    ["npm", "start"],
  ]);
  assert.deepEqual(commandsOf(`A=1 B="2 3" echo '{"a": 1}' | gpt2-api score --requests - > /dev/null 2>&1`), [
    ["echo", '{"a": 1}'],
    ["gpt2-api", "score", "--requests", "-"],
  ]);
  assert.deepEqual(commandsOf('$ x "a \\" b" c\\ d e#f <in; y'), [["x", 'a " b', "c d", "e#f"], ["y"]]);
  assert.deepEqual(commandsOf("# nothing"), []);
  assert.deepEqual(commandsOf("A=1"), []);
});

test("blocks are found with their language and the reason why they are not run, if there is one", () => {
  const page = [
    "```sh",
    "one",
    "",
    "two",
    "```",
    "```sh",
    "three",
    "```",
    "<!-- not run: no hub -->",
    "",
    "```sh",
    "four",
    "```",
    "<!-- not run: of another -->",
    "Text.",
    "```sh",
    "five",
    "```",
    "```js",
    "six",
    "```",
  ].join("\n");
  assert.deepEqual(blocksOf(page), [
    { text: "one\n\ntwo", line: 2, language: "sh", reason: undefined },
    { text: "three", line: 7, language: "sh", reason: undefined },
    { text: "four", line: 12, language: "sh", reason: "no hub" },
    { text: "five", line: 17, language: "sh", reason: undefined },
    { text: "six", line: 20, language: "js", reason: undefined },
  ]);
});
