// What a command of the command line is. `main.ts` holds the table of them.

/** One option of `util.parseArgs`, with what its help line says. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for the value in the help text, such as `DIR`; none for a boolean. */
  readonly value?: string;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

export interface Command {
  /** One sentence for the list of commands. */
  readonly summary: string;
  /** What follows the options on the command line, such as `PROMPT`. */
  readonly operands?: string;
  readonly options: Options;
  /** `argv` is what follows the command's name. Resolves with the exit code. */
  run(argv: readonly string[]): Promise<number>;
}
