// Every setting of this software, in one schema: default, range and help; its flag and its environment variable are
// made from its name. It reads neither the environment nor the command line: `cli/` hands both in.
import { z } from "zod";
import { GptError } from "./errors.ts";
import { expectation, fieldsOf, type JsonSchema, quoted } from "./schema.ts";

const MINUTE_MS = 60_000;

/** The form of an endpoint's name in the SageMaker API, where it has at most 63 characters. */
export const ENDPOINT_NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9])*$/;

export const configSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
  port: z.int().min(0).max(65_535).default(8080).describe("Port to listen on; 0 takes any free one."),
  model: z
    .string()
    .min(1)
    .default("tiny")
    .describe("Checkpoint to load: a directory, or the name of a model that is shipped."),
  precision: z.enum(["int8", "f32"]).default("f32").describe("Number format of the computation."),
  kvCacheMb: z
    .int()
    .min(1)
    .max(65_536)
    .default(256)
    .describe("Memory in MiB for the keys and values of all running sequences."),
  endpoint: z
    .string()
    .max(63)
    .regex(ENDPOINT_NAME)
    .default("gpt-2")
    .describe("Name of the endpoint: letters, digits and inner hyphens, at most 63 characters."),
  region: z
    .string()
    .min(1)
    .default("us-east-1")
    .describe('Region that requests must be signed for; "any" accepts every region.'),
  clockSkewSeconds: z
    .int()
    .min(1)
    .max(900)
    .default(300)
    .describe("How far the time of a signature may be from the server's, in seconds."),
  hostAlias: z
    .array(z.string().min(1))
    .default([])
    .describe("Further host (with port) that clients may have signed, as behind a proxy; may be repeated."),
  bodyBytesMax: z
    .int()
    .min(1024)
    .max(26_214_400)
    .default(6_291_456)
    .describe("Largest request body, in bytes."),
  queueRequestsMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(256)
    .describe("Requests accepted and not finished; further ones are refused with 503."),
  maxNumReturnSequences: z
    .int()
    .min(1)
    .max(64)
    .default(64)
    .describe("Largest num_return_sequences of a request."),
  maxNumBeams: z.int().min(1).max(64).default(32).describe("Largest num_beams of a request."),
  headersTimeoutMs: z
    .int()
    .min(1000)
    .max(10 * MINUTE_MS)
    .default(MINUTE_MS)
    .describe("Time in which the headers of a request must arrive, in milliseconds."),
  requestTimeoutMs: z
    .int()
    .min(1000)
    .max(60 * MINUTE_MS)
    .default(5 * MINUTE_MS)
    .describe("Time in which a whole request must arrive, in milliseconds."),
  keepAliveTimeoutMs: z
    .int()
    .min(1000)
    .max(60 * MINUTE_MS)
    .default(75_000)
    .describe(
      "How long an idle connection is kept, in milliseconds; longer than clients and proxies keep it.",
    ),
  logLevel: z
    .enum(["fatal", "error", "warn", "info", "debug", "silent"])
    .default("info")
    .describe("How much is logged, as JSON lines on standard error; one line per request at info."),
});

export type Config = Readonly<z.output<typeof configSchema>>;
export type SettingName = keyof Config;

/** One setting as a person sees it. */
export interface Setting {
  readonly name: SettingName;
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

export const SETTINGS: readonly Setting[] = Object.entries(fieldsOf(configSchema)).map(([name, schema]) => {
  const words = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return {
    name: name as SettingName,
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
export const DEFAULT_CONFIG: Config = configSchema.parse({});

/** Where the texts of settings come from; flags are keyed by flag name. */
export interface ConfigSources {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Settings from flags, then environment variables, then defaults. An empty environment variable counts as unset.
 * @throws GptError `invalid_config` that names the flag or variable, the value and the range.
 */
export function resolveConfig({ flags = {}, env = {} }: ConfigSources): Config {
  const values: Record<string, unknown> = {};
  for (const setting of SETTINGS) {
    const flag = flags[setting.flag];
    const variable = env[setting.env] || undefined;
    if (flag !== undefined) values[setting.name] = parseValue(setting, `--${setting.flag}`, flag);
    else if (variable !== undefined) {
      const texts = setting.multiple ? variable.split(",").map((text) => text.trim()) : variable;
      values[setting.name] = parseValue(setting, setting.env, texts);
    }
  }
  return configSchema.parse(values);
}

function parseValue(setting: Setting, source: string, text: unknown): unknown {
  const isNumber = setting.schema.type === "integer" && typeof text === "string" && /^-?\d+$/.test(text);
  const result = configSchema.shape[setting.name].safeParse(isNumber ? Number(text) : text);
  if (result.success) return result.data;
  const came = typeof text === "string" ? quoted(text) : String(text);
  throw new GptError("invalid_config", `${source} must be ${setting.range}, got ${came}. ${setting.help}`);
}
