// Checks that the documentation is true: links can be followed, files that are named exist, and commands parse.
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, it } from "node:test";
import type { Command } from "../../src/cli/command.ts";
import { loadAll } from "../../src/cli/command-line.ts";
import { parseFlags } from "../../src/cli/flags.ts";
import { messageOf } from "../../src/errors.ts";
import { packageRoot } from "../../src/generator/model-directory.ts";
import {
  anchorsOf,
  type Code,
  commandsOf,
  linksOf,
  shellLinesOf,
  spansOf,
  unindentedOf,
} from "./markdown.ts";
import { filesBelow } from "./pages.ts";

const ROOT = packageRoot();
const files = filesBelow(ROOT);
const pages = files.filter((file) => file.endsWith(".md")).map((file) => ({ file, text: read(file) }));

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** The faults of a page, each with its place. */
function problems(check: (page: { file: string; text: string }) => readonly (Code | undefined)[]): string[] {
  return pages.flatMap((page) =>
    check(page).flatMap((found) => (found ? [`${page.file}:${found.line} ${found.text}`] : [])),
  );
}

describe("documentation", () => {
  it("is found at all", () => {
    for (const file of ["README.md", "ARCHITECTURE.md", "docs/guides/operating.md"]) {
      assert.ok(
        pages.some((page) => page.file === file),
        file,
      );
    }
  });

  it("has links to existing files and headings only", () => {
    const found = problems(({ file, text }) =>
      linksOf(text).map(({ target, line }) => {
        if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return undefined;
        const [path = "", anchor] = decodeURIComponent(target).split("#");
        const linked = path === "" ? join(ROOT, file) : join(ROOT, dirname(file), path);
        if (!existsSync(linked)) return { line, text: `${target}: there is no such file` };
        if (relative(ROOT, linked).startsWith("..")) return { line, text: `${target} leaves the repository` };
        if (anchor === undefined || statSync(linked).isDirectory()) return undefined;
        const isThere = !linked.endsWith(".md") || anchorsOf(readFileSync(linked, "utf8")).has(anchor);
        return isThere ? undefined : { line, text: `${target}: there is no such heading` };
      }),
    );
    assert.deepEqual(found, []);
  });

  it("has list items whose lines stand under each other", () => {
    assert.deepEqual(
      problems(({ text }) => unindentedOf(text)),
      [],
    );
  });

  it("names existing source files only", () => {
    const found = problems(({ text }) =>
      spansOf(text).map(({ text: path, line }) => {
        if (!/^[\w.@/-]+\.(ts|js|c|h|py|sh)$/.test(path) || path.startsWith("path/to/")) return undefined;
        // Pages may name a file by the end of its path.
        const isThere = files.some((each) => `/${each}`.endsWith(`/${sourceOf(path)}`));
        return isThere ? undefined : { line, text: `${path}: there is no such file` };
      }),
    );
    assert.deepEqual(found, []);
  });

  it("has commands that parse: of this software, of npm, and files to be run", async () => {
    const commands = new Map(await loadAll());
    const found = problems(({ text }) => {
      const lines = [
        ...shellLinesOf(text),
        ...spansOf(text).filter((span) => /^(gpt2-api|npm|npx|node) /.test(span.text)),
      ];
      return lines.flatMap(({ text: commandLine, line }) =>
        commandsOf(commandLine).map((words) => {
          const problem = problemOf(words, commands);
          return problem === undefined ? undefined : { line, text: `${words.join(" ")}: ${problem}` };
        }),
      );
    });
    assert.deepEqual(found, []);
  });
});

/** The source file of a compiled one. */
function sourceOf(path: string): string {
  return path.startsWith("dist/") ? path.replace(/^dist\//, "").replace(/\.js$/, ".ts") : path;
}

const OWN = "dist/src/cli/main.js";
const scripts = JSON.parse(read("package.json")).scripts as Record<string, string>;
/** Commands of npm itself, which are not scripts. */
const NPM_COMMANDS = ["ci", "install", "pack", "prune", "publish"];

/** The fault of a command; undefined if there is none, or it is another program's command. */
function problemOf(
  [program = "", ...words]: readonly string[],
  commands: ReadonlyMap<string, Command>,
): string | undefined {
  if (program === "npx") return words[0] === "gpt2-api" ? problemOf(words, commands) : undefined;
  if (program === "gpt2-api" || (program === "node" && words[0] === OWN)) {
    return ownProblem(program === "node" ? words.slice(1) : words, commands);
  }
  if (program === "npm") return npmProblem(words);
  const isInterpreter = /(^|\/)(node|bash|sh|python3?)$/.test(program);
  const script = isInterpreter ? words.find((word) => !word.startsWith("-")) : program;
  if (
    script === undefined ||
    !/^[\w./-]+\.(js|sh|py)$/.test(script) ||
    /^(path\/to|elsewhere)\//.test(script)
  ) {
    return undefined;
  }
  return scriptProblem(script, words);
}

function ownProblem([name = "", ...words]: readonly string[], commands: ReadonlyMap<string, Command>) {
  if (name === "" || /^(--help|--version|help|[A-Z]+)$/.test(name)) return undefined;
  const command = commands.get(name);
  if (command === undefined) return `there is no command ${name}`;
  if (words.includes("--help")) return undefined;
  try {
    const { values } = parseFlags(words, { ...command, operands: "ANY" });
    for (const [flag, value] of Object.entries(values)) {
      const choices = command.options[flag]?.value?.split("|") ?? [];
      const isChoice = choices.length < 2 || (typeof value === "string" && choices.includes(value));
      if (!isChoice) return `--${flag} must be one of ${choices.join(", ")}`;
    }
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function npmProblem([command = "", ...words]: readonly string[]): string | undefined {
  if (NPM_COMMANDS.includes(command)) return undefined;
  const [name = "", ...rest] = command === "run" ? words : [command, ...words];
  const script = Object.hasOwn(scripts, name) ? scripts[name] : undefined;
  if (script === undefined) return `package.json has no script ${name}`;
  const file = /[\w./-]+\.(js|sh)$/.exec(script)?.[0];
  return file === undefined || file === OWN ? undefined : scriptProblem(file, rest);
}

/** Flags of a script: their names must occur in its source. */
function scriptProblem(script: string, words: readonly string[]): string | undefined {
  const source = sourceOf(script);
  if (!existsSync(join(ROOT, source))) return `there is no file ${source}`;
  const flags = words.filter((word) => /^--\w/.test(word)).map((word) => word.replace(/=.*/, ""));
  const folder = dirname(source);
  // A script may pass its flags on to other scripts in its folder.
  const texts = files
    .filter((file) => file.startsWith(`${folder}/`) && /\.(js|ts|sh|py)$/.test(file))
    .map(read);
  const unknown = flags.find((flag) => !texts.some((text) => text.includes(flag.slice(2))));
  return unknown === undefined ? undefined : `${unknown} does not stand in ${folder}/`;
}
