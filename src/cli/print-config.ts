// `--print-config`: prints every setting, its value, and where the value comes from. Secrets cannot be printed by it: they
// are in files and in the AWS_ variables, never in settings.
import { type ResolvedSettings, SETTINGS } from "../settings.ts";

export function settingsText({ settings, origins }: ResolvedSettings): string {
  const rows = SETTINGS.map(
    ({ name, flag }) => [`--${flag}`, JSON.stringify(settings[name]), origins[name]] as const,
  );
  const width = (column: 0 | 1): number => Math.max(...rows.map((row) => row[column].length));
  const lines = rows.map(
    ([flag, value, origin]) => `${flag.padEnd(width(0))}  ${value.padEnd(width(1))}  ${origin}`,
  );
  return `${lines.join("\n")}\n`;
}

export const PRINT_CONFIG = {
  "print-config": {
    type: "boolean",
    common: true,
    help: "Prints every setting, its value and where it comes from, and exits.",
  },
} as const;
