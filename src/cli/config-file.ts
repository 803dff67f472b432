// Reads a command's settings from its flags, the environment, and a JSON file that `--config` or a variable names.
import { GptError } from "../errors.ts";
import { readJsonFile } from "../files/json-file.ts";
import { explainSettings, type ResolvedSettings, type SettingLayer, settingsOfObject } from "../settings.ts";
import type { Flags } from "./flags.ts";

const VARIABLE = "GPT2_API_CONFIG";

export const CONFIG_OPTION = {
  config: {
    type: "string",
    value: "FILE",
    common: true,
    help:
      'JSON file of settings, named as their flags are: {"port": 8080, "kv-cache-mb": 512}. Flags and environment ' +
      `variables go before it. [${VARIABLE}]`,
  },
} as const;

/** What a platform sets: variables of its own, which override the file, and defaults, which the file overrides. */
export interface Platform {
  readonly variables: SettingLayer;
  readonly defaults: SettingLayer;
}

/**
 * The settings. Flags override variables, variables override the file, and the file overrides the defaults.
 * @throws GptError `invalid_config`
 */
export function settingsOf(
  flags: Flags["values"],
  env: Readonly<Record<string, string | undefined>>,
  platform: Platform = { variables: {}, defaults: {} },
): ResolvedSettings {
  const file = typeof flags.config === "string" ? flags.config : env[VARIABLE] || undefined;
  const fromFile = file === undefined ? {} : settingsOfObject(readSettings(file), file);
  return explainSettings({ flags, env, layers: [platform.variables, fromFile, platform.defaults] });
}

const SETTINGS_BYTES_MAX = 2 ** 20;

function readSettings(file: string): unknown {
  const json = readJsonFile(file, { code: "invalid_config", bytesMax: SETTINGS_BYTES_MAX });
  if (json !== undefined) return json;
  throw new GptError("invalid_config", `${file}: there is no such configuration file`);
}
