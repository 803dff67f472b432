import assert from "node:assert/strict";
import { test } from "node:test";
import { SETTINGS } from "../settings.ts";
import { loadAll } from "./command-line.ts";
import { settingOptions } from "./flags.ts";
import { FIRST_STEPS, helpText, overviewText } from "./help.ts";

const COMMAND = {
  summary: "Does something.",
  examples: [["Like this", "gpt2-api serve --port 1"]],
  options: {
    ...settingOptions(undefined, ["port"]),
    json: { type: "boolean", short: "j", help: "Prints JSON.", common: true },
  },
} as const;

test("the short help has the common options and says how many more there are", () => {
  const text = helpText("serve", COMMAND);
  assert.match(
    text,
    /^Does something\.\n\nUsage: gpt2-api serve \[options\]\n\nExamples:\n {2}# Like this\n {2}gpt2-api serve --port 1\n/,
  );
  assert.deepEqual(text.match(/--[\w-]+(?= N$|$)/gm), ["--port", "--json"]);
  assert.match(text, /\n {2}-j, --json\n {6}Prints JSON\.\n/);
  assert.match(text, new RegExp(`\n${SETTINGS.length - 1} more options: gpt2-api serve --help all\n$`));
});

test("the long help has every setting's flag, variable, range and default, by group", () => {
  const text = helpText("serve", COMMAND, true);
  for (const { flag, env } of SETTINGS)
    assert.ok(new RegExp(`--${flag}[ \n]`).test(text) && text.includes(`[${env}]`), flag);
  const unwrapped = text.replace(/\n {6}/g, " ");
  assert.match(
    unwrapped,
    /--port N Port to listen on; 0 takes any free one\. An integer from 0 to 65535; default 8080\. \[GPT2_API_PORT\]/,
  );
  for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
  const titles = [...text.matchAll(/^(\S.*):$/gm)].map(([, title]) => title);
  assert.deepEqual(titles, ["Examples", ...new Set(SETTINGS.map(({ group }) => group)), "Options"]);
  assert.doesNotMatch(text, /more options/);
});

test("a command with few options has only one form of help", () => {
  const few = { ...COMMAND, options: { json: { type: "boolean", help: "Prints JSON." } } } as const;
  assert.equal(helpText("x", few), helpText("x", few, true));
  assert.match(helpText("x", few), /\nOptions:\n {2}--json\n/);
});

test("every command has a summary and examples, and the overview lists all commands", async () => {
  const all = await loadAll();
  const text = overviewText(all);
  for (const [name, { summary, examples }] of all) {
    assert.match(summary, /\.$/);
    assert.ok(text.includes(`  ${name} `) && text.includes(summary), name);
    assert.ok(examples.length > 0, name);
    for (const [, commandLine] of examples) assert.ok(commandLine.includes(`gpt2-api ${name}`), commandLine);
  }
});

test("gpt2-api without arguments says in five lines what it is, and names commands that exist", async () => {
  const lines = FIRST_STEPS.trimEnd().split("\n");
  assert.equal(lines.length, 5);
  const names = (await loadAll()).map(([name]) => name);
  const shownNames = lines.slice(1, 4).map((line) => /^ {2}gpt2-api (\S+) .* {2,}\S/.exec(line)?.[1] ?? line);
  for (const name of shownNames) assert.ok(names.includes(name), name);
});
