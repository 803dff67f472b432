// The command line's table of commands, its help, its exit codes: 0 for success, 1 for a failure, 2 for a command,
// flag or setting that is wrong. The commands themselves stand in files of their own, and are loaded when they are named.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GptError } from "../errors.ts";
import { packageRoot } from "../generator/model-directory.ts";
import { nearest, quote } from "../wording.ts";
import type { Command } from "./command.ts";
import { helpText } from "./flags.ts";

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./commands/serve.ts")).serve,
  container: async () => (await import("./commands/container.ts")).container,
  generate: async () => (await import("./commands/generate.ts")).generate,
  score: async () => (await import("./commands/score.ts")).score,
  verify: async () => (await import("./commands/verify.ts")).verify,
  bench: async () => (await import("./commands/bench.ts")).bench,
  sign: async () => (await import("./commands/sign.ts")).sign,
  "api-key": async () => (await import("./commands/api-key.ts")).apiKey,
};

const HELP_FLAGS = ["--help", "-h"];

/** Runs what `argv` names, without the first two entries of `process.argv`; resolves with the exit code. */
export async function runCommandLine([name = "--help", ...argv]: readonly string[]): Promise<number> {
  if (HELP_FLAGS.includes(name)) return print(await overview());
  if (name === "--version") return print(`${version()}\n`);
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    const meant = nearest(name, Object.keys(COMMANDS));
    const hint = meant ? `did you mean ${meant}?` : "--help lists the known ones";
    throw new GptError("invalid_config", `The command ${quote(name)} is unknown; ${hint}`);
  }
  const command = await load();
  const flags = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  if (flags.some((flag) => HELP_FLAGS.includes(flag))) return print(helpText(name, command));
  return command.run(argv);
}

async function overview(): Promise<string> {
  const line = async ([name, load]: [string, () => Promise<Command>]): Promise<string> =>
    `  ${name.padEnd(10)}${(await load()).summary}`;
  const lines = await Promise.all(Object.entries(COMMANDS).map(line));
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
