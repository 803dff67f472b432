// `gpt2-api completion`: prints a script with which a shell completes commands, flags and values. The script is made
// from the same tables as the help, so it is never out of date, and completing a word does not start the program.
import { GptError } from "../../errors.ts";
import type { Command } from "../command.ts";
import { parseFlags } from "../flags.ts";
import { EXIT } from "../report.ts";
import { bashCompletion, type CompletedCommand, fishCompletion, zshCompletion } from "../shell-completion.ts";

const SHELLS: Readonly<Record<string, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** `loadAll` returns the table of commands. It is passed in because this command is part of that table. */
export function completion(loadAll: () => Promise<[name: string, command: Command][]>): Command {
  const self: Command = {
    summary: "Prints a script for a shell that completes commands, flags and values.",
    operands: Object.keys(SHELLS).join("|"),
    examples: [
      ["bash, in ~/.bashrc", 'eval "$(gpt2-api completion bash)"'],
      ["zsh, in ~/.zshrc after compinit", 'eval "$(gpt2-api completion zsh)"'],
      ["fish", "gpt2-api completion fish > ~/.config/fish/completions/gpt2-api.fish"],
    ],
    options: {},
    async run(argv) {
      const { operands } = parseFlags(argv, self);
      const [shell = "", surplus] = operands;
      const script = Object.hasOwn(SHELLS, shell) && surplus === undefined ? SHELLS[shell] : undefined;
      if (script === undefined) {
        const got = operands.length > 0 ? JSON.stringify(operands.join(" ")) : "none";
        throw new GptError("invalid_config", `One shell must be given, bash, zsh or fish, got ${got}`);
      }
      process.stdout.write(script((await loadAll()).map(completed)));
      return EXIT.success;
    },
  };
  return self;
}

function completed([name, { summary, operands = "", options }]: [string, Command]): CompletedCommand {
  return {
    name,
    summary,
    operands: operands.includes("|") ? operands.split("|") : [],
    flags: Object.entries(options).map(([flag, { value, help, multiple = false }]) => ({
      flag: `--${flag}`,
      // The first sentence only.
      help: help.replace(/(?<=\w)[.;:] .*$/s, ""),
      values:
        value === undefined
          ? "none"
          : value === "N"
            ? "number"
            : value.includes("|")
              ? value.split("|")
              : "any",
      multiple,
    })),
  };
}
