// What a command of the command line is. `command-line.ts` holds the table of them.

/** One option of `util.parseArgs`, with what its help line says. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for the value in the help text, such as `DIR`, or the values there are, `a|b`; none for a boolean. */
  readonly value?: string;
  readonly help: string;
  /** True: it stands in the short help too. Where no option is common, the short help has all. */
  readonly common?: boolean;
  /** Title of the group it has in the long help. */
  readonly group?: string;
}

export type Options = Readonly<Record<string, Option>>;

export interface Command {
  /** One sentence for the list of commands. */
  readonly summary: string;
  /** What follows the options on the command line, such as `PROMPT`. */
  readonly operands?: string;
  /** Command lines that work as they stand, each with what it does. */
  readonly examples: readonly (readonly [what: string, commandLine: string])[];
  readonly options: Options;
  /** `argv` is what follows the command's name. Resolves with the exit code. */
  run(argv: readonly string[]): Promise<number>;
}
