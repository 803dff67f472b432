// The texts of `--help`, for all commands and for each one, and of `gpt2-api` without arguments. It prints nothing itself.
import type { Command, Option } from "./command.ts";

/** Longest wrapped line, in characters. */
const WIDTH = 100;
const INDENT = 6;

/** What `gpt2-api` without arguments prints: what the software is, and where to begin. */
export const FIRST_STEPS = [
  "gpt2-api completes texts with GPT-2, on the command line or as a server for SageMaker's clients.",
  '  gpt2-api generate "Once upon a time"    completes a text on this machine',
  "  gpt2-api serve                          answers over HTTP, and prints an example request",
  "  gpt2-api doctor                         checks this machine and reports problems",
  "gpt2-api --help lists all commands, gpt2-api COMMAND --help the options of one.",
  "",
].join("\n");

/** The text of `gpt2-api --help`. */
export function overviewText(commands: readonly (readonly [name: string, command: Command])[]): string {
  const width = Math.max(...commands.map(([name]) => name.length)) + 2;
  return [
    "Usage: gpt2-api COMMAND [options]\n",
    "Commands:",
    ...commands.map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`),
    "",
    "gpt2-api COMMAND --help lists the common options of a command, with examples; --help all lists all.",
    "gpt2-api --version prints the version.",
    "Exit codes: 0 success, 1 failure, 2 a wrong command, flag or setting.",
    "",
  ].join("\n");
}

/** The text of `--help`, or of `--help all`, for one command. */
export function helpText(
  name: string,
  { summary, operands, examples, options }: Omit<Command, "run">,
  isAll = false,
): string {
  const all = Object.entries(options);
  const common = all.filter(([, option]) => option.common);
  const hasShort = common.length > 0 && common.length < all.length;
  const shown = hasShort && !isAll ? common : all;
  const numMore = all.length - shown.length;
  return [
    summary,
    "",
    `Usage: gpt2-api ${name}${all.length > 0 ? " [options]" : ""}${operands ? ` ${operands}` : ""}`,
    "",
    "Examples:",
    ...examples.flatMap(([what, commandLine]) => [`  # ${what}`, `  ${commandLine}`]),
    ...groups(shown, hasShort && isAll).flatMap(([title, entries]) => [
      "",
      `${title}:`,
      ...entries.map(optionText),
    ]),
    ...(numMore > 0 ? ["", `${numMore} more options: gpt2-api ${name} --help all`] : []),
    "",
  ].join("\n");
}

type Entry = readonly [flag: string, option: Option];

/** Options by the title of their group, in the order in which the titles first appear. The short help has one group. */
function groups(entries: readonly Entry[], isGrouped: boolean): [title: string, entries: Entry[]][] {
  const found = new Map<string, Entry[]>();
  for (const entry of entries) {
    const title = (isGrouped && entry[1].group) || "Options";
    found.set(title, [...(found.get(title) ?? []), entry]);
  }
  return [...found];
}

function optionText([flag, { short, value, help }]: Entry): string {
  const head = `  ${short ? `-${short}, ` : ""}--${flag}${value ? ` ${value}` : ""}`;
  return `${head}\n${wrapped(help)}`;
}

function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= WIDTH)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(" ".repeat(INDENT) + word);
  }
  return lines.join("\n");
}
