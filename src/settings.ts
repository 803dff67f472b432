// Reads settings from layers: flags, environment variables, a file, defaults. Flag, variable, range and help of a setting are
// derived from the schema in `settings/schema.ts`. The layers are passed in: `cli/` reads environment, command line and files.
import type { z } from "zod";
import { GptError } from "./errors.ts";
import { SETTING_GROUPS, settingsSchema } from "./settings/schema.ts";
import { describeValue, expectation, fieldsOf, type JsonSchema, nearest, quote } from "./wording.ts";

export { ENDPOINT_NAME, ENDPOINT_NAME_MAX } from "./settings/schema.ts";

/** One endpoint and what it serves: a directory or a shipped model's name. */
export interface EndpointSetting {
  readonly name: string;
  readonly model: string;
}

/** @throws GptError `invalid_config` if a name appears twice */
export function endpointsOf(settings: Settings): readonly EndpointSetting[] {
  const endpoints = settings.endpoint.map((text) => {
    const mark = text.indexOf("=");
    return mark < 0
      ? { name: text, model: settings.model }
      : { name: text.slice(0, mark), model: text.slice(mark + 1) };
  });
  const twice = endpoints.find(({ name }, i) => endpoints.findIndex((other) => other.name === name) < i);
  if (twice === undefined) return endpoints;
  throw new GptError(
    "invalid_config",
    `--endpoint names ${quote(twice.name)} twice; every endpoint needs a name of its own`,
  );
}

export type Settings = Readonly<z.output<typeof settingsSchema>>;
export type SettingName = keyof Settings;

/** One setting as a person sees it. */
export interface Setting {
  readonly name: SettingName;
  /** Title of the group it is shown in. */
  readonly group: string;
  /** Without the two hyphens. */
  readonly flag: string;
  readonly env: string;
  readonly help: string;
  /** What a value must be, in words. */
  readonly range: string;
  readonly default: string;
  /** True: the flag may be repeated, and the environment variable holds values separated by commas. */
  readonly multiple: boolean;
  readonly schema: JsonSchema;
}

const groups = Object.entries(SETTING_GROUPS);

export const SETTINGS: readonly Setting[] = Object.entries(fieldsOf(settingsSchema)).map(([name, schema]) => {
  const words = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return {
    name: name as SettingName,
    group: groups.find(([, fields]) => Object.hasOwn(fields, name))?.[0] ?? "",
    flag: words,
    env: `GPT2_API_${words.replaceAll("-", "_").toUpperCase()}`,
    help: schema.description ?? "",
    range: expectation(schema),
    default: String(schema.default),
    multiple: schema.type === "array",
    schema,
  };
});

/** All defaults. */
export const DEFAULT_SETTINGS: Settings = settingsSchema.parse({});

/** Settings from one source, each value with words for its place. */
export type SettingLayer = Readonly<
  Partial<Record<SettingName, { readonly origin: string; readonly value: unknown }>>
>;

/** The sources of settings, from the highest priority to the lowest. */
export interface SettingSources {
  /** Keyed by flag. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Further sources in order of priority: a file, the variables of a platform. */
  readonly layers?: readonly SettingLayer[];
}

export interface ResolvedSettings {
  readonly settings: Settings;
  /** The origin of each value: a flag, a variable, a file, or "default". */
  readonly origins: Readonly<Record<SettingName, string>>;
}

/**
 * Settings from flags, then environment variables, then further layers, then defaults.
 * @throws GptError `invalid_config` that names the flag, variable or file, the value and the range.
 */
export function resolveSettings(sources: SettingSources): Settings {
  return explainSettings(sources).settings;
}

/** The same, with the origin of each value. */
export function explainSettings({ flags = {}, env = {}, layers = [] }: SettingSources): ResolvedSettings {
  const all = [flagLayer(flags), variableLayer(env), ...layers];
  const values: Record<string, unknown> = {};
  const origins = {} as Record<SettingName, string>;
  for (const setting of SETTINGS) {
    const { name } = setting;
    const found = all.find((layer) => layer[name] !== undefined)?.[name];
    origins[name] = found?.origin ?? "default";
    if (found !== undefined) values[name] = parseValue(setting, found.origin, found.value);
  }
  const settings = settingsSchema.parse(values);
  checkTogether(settings);
  return { settings, origins };
}

/** Refuses settings that are valid alone and contradict each other. */
function checkTogether({ bodyBytesMax, bodiesBytesMax }: Settings): void {
  if (bodiesBytesMax >= bodyBytesMax) return;
  throw new GptError(
    "invalid_config",
    `--bodies-bytes-max must be at least --body-bytes-max, ${bodyBytesMax}, got ${bodiesBytesMax}`,
  );
}

function flagLayer(flags: Readonly<Record<string, unknown>>): SettingLayer {
  const given = SETTINGS.filter(({ flag }) => flags[flag] !== undefined);
  return Object.fromEntries(
    given.map(({ name, flag }) => [name, { origin: `--${flag}`, value: flags[flag] }]),
  );
}

/** An empty variable counts as unset. */
function variableLayer(variables: Readonly<Record<string, string | undefined>>): SettingLayer {
  const layer: Record<string, { origin: string; value: unknown }> = {};
  for (const { name, env, multiple } of SETTINGS) {
    const text = variables[env] ?? "";
    if (text === "" || isServiceLink(text)) continue;
    layer[name] = { origin: env, value: multiple ? text.split(",").map((part) => part.trim()) : text };
  }
  return layer;
}

/** Kubernetes sets GPT2_API_PORT=tcp://… itself if a Service is named gpt2-api. That is not a setting. */
function isServiceLink(text: string): boolean {
  return /^(tcp|udp|sctp):\/\//.test(text);
}

/**
 * Settings from a JSON object whose keys are the flags' names; `kv-cache-mb`, `kv_cache_mb` and `kvCacheMb` mean the same.
 * `file` is its path, for messages.
 * @throws GptError `invalid_config` that names the file and the field
 */
export function settingsOfObject(json: unknown, file: string): SettingLayer {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new GptError(
      "invalid_config",
      `${file} must hold an object such as {"port": 8080}, got ${describeValue(json)}`,
    );
  }
  const layer: Record<string, { origin: string; value: unknown }> = {};
  for (const [field, value] of Object.entries(json)) {
    const setting = SETTINGS.find(({ name }) => plain(name) === plain(field));
    if (setting === undefined) throw unknownField(field, file);
    if (layer[setting.name] !== undefined) {
      throw new GptError(
        "invalid_config",
        `${file} sets ${setting.flag} twice, the second time as ${quote(field)}`,
      );
    }
    layer[setting.name] = { origin: `${file}: ${field}`, value };
  }
  return layer;
}

/** A name in lower case, without hyphens and underscores. */
function plain(name: string): string {
  return name.replace(/[-_]/g, "").toLowerCase();
}

function unknownField(field: string, file: string): GptError {
  const flags = SETTINGS.map(({ flag }) => flag);
  const meant = nearest(field, flags);
  const hint = meant ? `did you mean ${quote(meant)}?` : `known are ${flags.join(", ")}`;
  return new GptError("invalid_config", `${file}: the field ${quote(field)} is unknown; ${hint}`);
}

function parseValue(setting: Setting, source: string, value: unknown): unknown {
  const result = settingsSchema.shape[setting.name].safeParse(fromText(setting, value));
  if (result.success) return result.data;
  const came = typeof value === "string" ? quote(value) : describeValue(value);
  throw new GptError("invalid_config", `${source} must be ${setting.range}, got ${came}. ${setting.help}`);
}

/** The value that a text from the command line or a variable stands for. */
function fromText({ schema }: Setting, value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (schema.type === "integer" && /^-?\d+$/.test(value)) return Number(value);
  if (schema.type === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}
