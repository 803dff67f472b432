// What a command is. The table of all commands is in `command-line.ts`.

/** One option of `util.parseArgs`, and what the help says about it. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  /** The placeholder of the value in the help, such as `DIR`, or all possible values, `a|b`. Absent for a boolean. */
  readonly value?: string;
  readonly help: string;
  /** True: the short help lists it too. If a command has no common option, its short help lists all. */
  readonly common?: boolean;
  /** Title of its group in the long help. */
  readonly group?: string;
}

export type Options = Readonly<Record<string, Option>>;

export interface Command {
  /** One sentence for the list of commands. */
  readonly summary: string;
  /** What may follow the options on the command line, such as `PROMPT`. */
  readonly operands?: string;
  /** Command lines that work as they are, each with what it does. */
  readonly examples: readonly (readonly [what: string, commandLine: string])[];
  readonly options: Options;
  /** `argv` is what follows the command's name. Resolves with the exit code. */
  run(argv: readonly string[]): Promise<number>;
}
