// The table of commands, the help, and the exit codes: 0 for success, 1 for a failure, 2 for a wrong command, flag or
// setting. Each command is a file of its own in `commands/` and is imported only when it is named.
import { GptError } from "../errors.ts";
import { packageVersion } from "../generator/model-directory.ts";
import { nearest, quote } from "../wording.ts";
import type { Command } from "./command.ts";
import { FIRST_STEPS, helpText, overviewText } from "./help.ts";
import { EXIT } from "./report.ts";

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  generate: async () => (await import("./commands/generate.ts")).generate,
  serve: async () => (await import("./commands/serve.ts")).serve,
  doctor: async () => (await import("./commands/doctor.ts")).doctor,
  pull: async () => (await import("./commands/pull.ts")).pull,
  models: async () => (await import("./commands/models.ts")).models,
  rm: async () => (await import("./commands/rm.ts")).rm,
  score: async () => (await import("./commands/score.ts")).score,
  verify: async () => (await import("./commands/verify.ts")).verify,
  bench: async () => (await import("./commands/bench.ts")).bench,
  container: async () => (await import("./commands/container.ts")).container,
  "api-key": async () => (await import("./commands/api-key.ts")).apiKey,
  token: async () => (await import("./commands/token.ts")).token,
  sign: async () => (await import("./commands/sign.ts")).sign,
  completion: async () => (await import("./commands/completion.ts")).completion(loadAll),
};

/** Every command with its name. Imports all of them. */
export function loadAll(): Promise<[name: string, command: Command][]> {
  return Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]): Promise<[string, Command]> => [name, await load()]),
  );
}

const HELP_FLAGS = ["--help", "-h"];
const ALL_HELP = "--help=all";

/** Runs the command that `argv` names (`process.argv` without its first two entries). Resolves with the exit code. */
export async function runCommandLine([name, ...argv]: readonly string[]): Promise<number> {
  if (name === undefined) return print(FIRST_STEPS);
  if (name === "help") return runCommandLine(argv.length > 0 ? [...argv, "--help"] : ["--help"]);
  if (HELP_FLAGS.includes(name) || name === ALL_HELP) return print(overviewText(await loadAll()));
  if (name === "--version") return print(`${packageVersion()}\n`);
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    const meant = nearest(name, Object.keys(COMMANDS));
    const hint = meant ? `did you mean ${meant}?` : "--help lists the known ones";
    throw new GptError("invalid_config", `The command ${quote(name)} is unknown; ${hint}`);
  }
  const command = await load();
  const help = helpAsked(argv);
  return help === undefined ? command.run(argv) : print(helpText(name, command, help === "all"));
}

/** Which help the flags ask for. What follows `--` is not a flag. */
function helpAsked(argv: readonly string[]): "common" | "all" | undefined {
  const flags = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  if (flags.includes(ALL_HELP)) return "all";
  const at = flags.findIndex((flag) => HELP_FLAGS.includes(flag));
  if (at < 0) return undefined;
  return flags[at + 1] === "all" ? "all" : "common";
}

function print(text: string): number {
  process.stdout.write(text);
  return EXIT.success;
}
