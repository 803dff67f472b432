#!/usr/bin/env node
// The command line's table of commands, its help, its exit codes: 0 for success, 1 for a failure, 2 for a command,
// flag or setting that is wrong. The commands themselves stand in files of their own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GptError } from "../errors.ts";
import { nearest, quoted } from "../schema.ts";
import { packageRoot } from "../service/model-directory.ts";
import { apiKey } from "./api-key.ts";
import { bench } from "./bench.ts";
import type { Command } from "./command.ts";
import { container } from "./container.ts";
import { helpText } from "./flags.ts";
import { generate } from "./generate.ts";
import { report } from "./report.ts";
import { score } from "./score.ts";
import { serve } from "./serve.ts";
import { sign } from "./sign.ts";
import { verify } from "./verify.ts";

const COMMANDS: Readonly<Record<string, Command>> = {
  ...{ serve, container, generate, score, verify, bench, sign },
  "api-key": apiKey,
};

const HELP_FLAGS = ["--help", "-h"];

/** Runs what `argv` names, without the first two entries of `process.argv`; resolves with the exit code. */
async function main([name = "--help", ...argv]: readonly string[]): Promise<number> {
  if (HELP_FLAGS.includes(name)) return print(overview());
  if (name === "--version") return print(`${version()}\n`);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const meant = nearest(name, Object.keys(COMMANDS));
    const hint = meant ? `did you mean ${meant}?` : "--help lists the known ones";
    throw new GptError("invalid_config", `The command ${quoted(name)} is unknown; ${hint}`);
  }
  const flags = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  if (flags.some((flag) => HELP_FLAGS.includes(flag))) return print(helpText(name, command));
  return command.run(argv);
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return [
    "Usage: gpt2-api COMMAND [options]\n",
    "Commands:",
    ...lines,
    "\ngpt2-api COMMAND --help lists the options of a command; gpt2-api --version prints the version.\n",
  ].join("\n");
}

function version(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

process.exitCode = await main(process.argv.slice(2)).catch(report);
