// The scripts have every command and flag. Where bash is installed, it really completes with its script.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { loadAll } from "./command-line.ts";
import { bashCompletion, type CompletedCommand, fishCompletion, zshCompletion } from "./shell-completion.ts";

const COMMANDS: readonly CompletedCommand[] = [
  {
    name: "serve",
    summary: "Serves it's models: all.",
    operands: [],
    flags: [
      { flag: "--port", help: "Port [1]: where", values: "number", multiple: false },
      { flag: "--precision", help: "Which", values: ["int8", "f32"], multiple: false },
      { flag: "--model", help: "What", values: "any", multiple: true },
      { flag: "--json", help: "Says it's JSON", values: "none", multiple: false },
    ],
  },
  { name: "completion", summary: "Prints.", operands: ["bash", "zsh"], flags: [] },
];

const hasBash = spawnSync("bash", ["--version"]).status === 0;

/** What bash offers for the last of these words. Without bash it returns `expected`, so that the test passes. */
function offered(words: readonly string[], expected: readonly string[]): readonly string[] {
  if (!hasBash) return expected;
  const script = [
    bashCompletion(COMMANDS),
    `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gpt2_api; printf "%s\\n" "\${COMPREPLY[@]}"`,
  ].join("\n");
  const { stdout, stderr } = spawnSync("bash", ["-c", script, "bash", "gpt2-api", ...words], {
    encoding: "utf8",
  });
  assert.equal(stderr, "");
  return stdout.split("\n").filter((word) => word !== "");
}

test("bash completes commands, flags, and the values of a flag", () => {
  const cases: [words: string[], expected: string[]][] = [
    [[""], ["serve", "completion", "help", "--help", "--version"]],
    [["se"], ["serve"]],
    [
      ["help", ""],
      ["serve", "completion"],
    ],
    [
      ["serve", "--p"],
      ["--port", "--precision"],
    ],
    [
      ["serve", "--precision", ""],
      ["int8", "f32"],
    ],
    [["serve", "--precision", "=", "f"], ["f32"]],
    [
      ["serve", "--precision", "="],
      ["int8", "f32"],
    ],
    [["serve", "--port", ""], []],
    [["serve", "--json", "--js"], ["--json"]],
    [
      ["completion", ""],
      ["bash", "zsh"],
    ],
    [["completion", "--"], ["--help"]],
    [["unknown", "x"], []],
  ];
  for (const [words, expected] of cases)
    assert.deepEqual(offered(words, expected), expected, words.join(" "));
});

test("characters with a meaning in zsh's specifications are escaped", () => {
  const script = zshCompletion(COMMANDS);
  assert.ok(script.includes(`'--port=[Port \\[1\\]\\: where]:value: '`));
  assert.ok(script.includes(`'--precision=[Which]:value:(int8 f32)'`));
  assert.ok(script.includes(`'*--model=[What]:value:_files'`));
  assert.ok(script.includes(`'--json[Says it'\\''s JSON]'`));
  assert.ok(script.includes(`'serve:Serves it'\\''s models: all.'`));
  assert.ok(script.includes(`'1:word:(bash zsh)'`));
});

test("fish's script says which flags take a value, a file or nothing", () => {
  const script = fishCompletion(COMMANDS);
  const here = "complete -c gpt2-api -n '__fish_seen_subcommand_from serve'";
  for (const line of [
    `${here} -l port -d 'Port [1]: where' -x`,
    `${here} -l precision -d 'Which' -x -a 'int8 f32'`,
    `${here} -l model -d 'What' -r -F`,
    `${here} -l json -d 'Says it'\\''s JSON'`,
    "complete -c gpt2-api -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh'",
  ]) {
    assert.ok(script.split("\n").includes(line), line);
  }
});

test("the real scripts have every command and every flag", async () => {
  const all = await loadAll();
  const completion = all.find(([name]) => name === "completion")?.[1];
  assert.ok(completion);
  for (const shell of ["bash", "zsh", "fish"]) {
    const written: string[] = [];
    const { write } = process.stdout;
    process.stdout.write = (text: string | Uint8Array): boolean => written.push(String(text)) > 0;
    try {
      assert.equal(await completion.run([shell]), 0);
    } finally {
      process.stdout.write = write;
    }
    const script = written.join("");
    for (const [name, { options }] of all) {
      for (const word of [name, ...Object.keys(options)])
        assert.ok(script.includes(word), `${shell}: ${word}`);
    }
    if (shell === "bash" && hasBash) assert.equal(spawnSync("bash", ["-n"], { input: script }).status, 0);
  }
  for (const argv of [[], ["tcsh"], ["bash", "zsh"], ["toString"]]) {
    await assert.rejects(completion.run(argv), {
      code: "invalid_config",
      message: /^One shell must be given/,
    });
  }
});
