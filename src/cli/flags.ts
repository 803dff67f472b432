// Turns settings into options of `util.parseArgs`, and parses flags. Whatever is wrong is reported in one sentence.
import { parseArgs } from "node:util";
import { GptError } from "../errors.ts";
import { SETTINGS, type SettingName } from "../settings.ts";
import { nearest, quote } from "../wording.ts";
import type { Command, Options } from "./command.ts";

/** The options for the named settings (default: all). `commonNames`: those that the short help shows. */
export function settingOptions(
  names: readonly SettingName[] = SETTINGS.map(({ name }) => name),
  commonNames: readonly SettingName[] = [],
): Options {
  const chosen = SETTINGS.filter(({ name }) => names.includes(name));
  return Object.fromEntries(
    chosen.map(({ name, flag, group, env, help, range, default: preset, multiple, schema }) => {
      const shown = { common: commonNames.includes(name), group };
      if (schema.type === "boolean") return [flag, { type: "boolean", help: `${help} [${env}]`, ...shown }];
      const value = schema.type === "integer" ? "N" : schema.enum ? schema.enum.join("|") : "VALUE";
      const limits = schema.type === "integer" ? `${capitalized(range)}; ` : "";
      const isUnset = preset === "";
      const defaults = isUnset ? "" : ` ${limits ? `${limits}default` : "Default"} ${preset}.`;
      return [flag, { type: "string", multiple, value, help: `${help}${defaults} [${env}]`, ...shown }];
    }),
  );
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What the command line holds, by flag. A flag that was not given is absent. */
export interface Flags {
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  readonly operands: readonly string[];
}

/** @throws GptError `invalid_config` for an unknown flag, a missing value, or an operand where none is taken. */
export function parseFlags(
  argv: readonly string[],
  { options, operands }: Pick<Command, "options" | "operands">,
): Flags {
  const { values, positionals, tokens } = parseArgs({
    args: [...argv],
    options: { ...options },
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === "option") checkFlag(token, options);
  }
  const [surplus] = positionals;
  if (operands === undefined && surplus !== undefined) {
    throw new GptError(
      "invalid_config",
      `${quote(surplus)} is not a flag, and this command takes only flags`,
    );
  }
  return { values, operands: positionals };
}

interface FlagToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
}

function checkFlag({ name, rawName, value }: FlagToken, options: Options): void {
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  if (option === undefined) {
    const meant = nearest(name, Object.keys(options));
    const hint = meant ? `did you mean --${meant}?` : "--help lists the known ones";
    throw new GptError("invalid_config", `The flag ${rawName} is unknown; ${hint}`);
  }
  if (option.type === "string" && value === undefined) {
    throw new GptError("invalid_config", `The flag ${rawName} needs a value`);
  }
  if (option.type === "boolean" && value !== undefined) {
    throw new GptError("invalid_config", `The flag ${rawName} takes no value, got ${quote(value)}`);
  }
}
