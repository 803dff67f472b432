// Every setting of this software, in one schema: default, range and help; its flag and its environment variable are
// made from its name. It reads neither the environment nor the command line: `cli/` hands both in.
import { z } from "zod";
import { GptError } from "./errors.ts";
import { DEFAULT_PASS } from "./model/backend.ts";
import { expectation, fieldsOf, type JsonSchema, quote } from "./wording.ts";

const MINUTE_MS = 60_000;

/** The form of an endpoint's name in the SageMaker API, where it has at most 63 characters. */
export const ENDPOINT_NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9])*$/;
const ENDPOINT = /^(?=[^=]{1,63}(=|$))[a-zA-Z0-9](-*[a-zA-Z0-9])*(=.+)?$/;

export const settingsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
  port: z.int().min(0).max(65_535).default(8080).describe("Port to listen on; 0 takes any free one."),
  model: z
    .string()
    .min(1)
    .default("tiny")
    .describe("Checkpoint to load: a directory, or the name of a model that is shipped."),
  precision: z
    .enum(["int8", "f32"])
    .default("int8")
    .describe(
      "Number format of the computation: int8 is fast and small, f32 gives the token ids of transformers.",
    ),
  kvCacheMb: z
    .int()
    .min(1)
    .max(65_536)
    .default(256)
    .describe("Memory in MiB for the keys and values of all running sequences and of the prefix cache."),
  prefixCache: z
    .enum(["on", "off"])
    .default("on")
    .describe(
      "Keeps keys and values of earlier requests for prompts that begin alike, in what running requests leave of " +
        "--kv-cache-mb.",
    ),
  weightCacheMb: z
    .int()
    .min(0)
    .max(1_048_576)
    .default(4096)
    .describe(
      "Disk space in MiB for quantised weights, which are kept in the user's cache folder so that the next start is " +
        "quicker; 0: none are kept.",
    ),
  threads: z
    .int()
    .min(0)
    .max(256)
    .default(0)
    .describe(
      "Threads that compute for one model; 0: as many as this process may use cores, or as a container's CPU quota, " +
        "rounded up, pays for.",
    ),
  passTokensMax: z
    .int()
    .min(128)
    .max(2048)
    .default(DEFAULT_PASS.tokens)
    .describe(
      "Tokens that are computed in one pass of the model; more make long prompts quicker and hold up everybody else " +
        "for longer.",
    ),
  passRowsMax: z
    .int()
    .min(1)
    .max(128)
    .default(DEFAULT_PASS.rows)
    .describe(
      "Sequences or beams that get a token in one pass of the model; a request that needs more at once is refused.",
    ),
  kernels: z
    .enum(["auto", "wasm"])
    .default("auto")
    .describe(
      "Machine code to compute with: auto takes the native kernels where they were built and the processor has their " +
        "instructions, wasm stays inside WebAssembly. The answers are the same, the speed is not.",
    ),
  endpoint: z
    .array(z.string().regex(ENDPOINT))
    .min(1)
    .default(["gpt-2"])
    .describe(
      "Endpoint to serve: a name of letters, digits and inner hyphens, at most 63 characters, or NAME=MODEL for another " +
        "model than --model; may be repeated.",
    ),
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
  bodiesBytesMax: z
    .int()
    .min(1024)
    .max(2 ** 40)
    .default(67_108_864)
    .describe(
      "Bytes of unfinished request bodies held at a time, over all connections, at least --body-bytes-max; above it the " +
        "largest of them is refused with 503.",
    ),
  refusedBytesMax: z
    .int()
    .min(0)
    .max(2 ** 40)
    .default(26_214_400)
    .describe(
      "Bytes of a refused request's body that are still received and dropped, so that its client reads the answer; then " +
        "the connection is closed.",
    ),
  queueRequestsMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(256)
    .describe("Requests accepted and not finished; further ones are refused with 503."),
  queueTokensMax: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .describe(
      "Tokens, of prompts and still to come, of the requests that wait; further ones are refused with 503; 0: any number.",
    ),
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
  auth: z
    .enum(["sigv4", "bearer", "none"])
    .default("sigv4")
    .describe("Who may call: holders of a key pair, holders of an API key, or everybody."),
  insecurePublic: z
    .boolean()
    .default(false)
    .describe("Allows --auth none on an address that other machines can reach."),
  credentialsFile: z
    .string()
    .default("")
    .describe("JSON file of key pairs and the endpoints each may invoke; read again when it changes."),
  apiKeysFile: z
    .string()
    .default("")
    .describe(
      "JSON file of hashed API keys for --auth bearer, as `gpt2-api api-key` makes them; read again when it changes.",
    ),
  debugSignature: z
    .boolean()
    .default(false)
    .describe("Answers a signature that does not match with the strings that should have been signed."),
  tlsCert: z
    .string()
    .default("")
    .describe("PEM file of the certificate and its chain, for HTTPS; read again when it changes."),
  tlsKey: z.string().default("").describe("PEM file of the certificate's private key."),
  connectionsMax: z
    .int()
    .min(1)
    .max(65_536)
    .default(1024)
    .describe("Connections open at a time; further ones are closed at once."),
  keyRequestsPerSecond: z
    .int()
    .min(0)
    .max(100_000)
    .default(0)
    .describe("Requests a key may make in a second; further ones are refused with 429; 0: any number."),
  keyRequestsMax: z
    .int()
    .min(0)
    .max(10_000)
    .default(0)
    .describe(
      "Requests of one key that may be open at a time; further ones are refused with 429; 0: any number.",
    ),
  requestDeadlineMs: z
    .int()
    .min(1000)
    .max(60 * MINUTE_MS)
    .default(55_000)
    .describe(
      "Time in which a request must be answered, in milliseconds; boto3 gives up after 60 seconds and asks again.",
    ),
  drainTimeoutMs: z
    .int()
    .min(0)
    .max(10 * MINUTE_MS)
    .default(25_000)
    .describe("Time that open requests are given when the server stops, in milliseconds."),
  adminHost: z.string().min(1).default("127.0.0.1").describe("Address of the admin port."),
  adminPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe("Port for /metrics, /healthz, /readyz and /openapi.json; 0: none."),
});

/** One endpoint and what it serves: a directory or a shipped model's name. */
export interface EndpointSetting {
  readonly name: string;
  readonly model: string;
}

/** @throws GptError `invalid_config` when a name stands twice. */
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

export const SETTINGS: readonly Setting[] = Object.entries(fieldsOf(settingsSchema)).map(([name, schema]) => {
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
export const DEFAULT_SETTINGS: Settings = settingsSchema.parse({});

/** Where the texts of settings come from, most binding first. */
export interface SettingSources {
  /** Keyed by flag. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Settings from other sources, each with the words for it, such as a variable of another name. */
  readonly presets?: Readonly<
    Partial<Record<SettingName, { readonly origin: string; readonly value: unknown }>>
  >;
}

export interface ResolvedSettings {
  readonly settings: Settings;
  /** Where each value is from: a flag, a variable, or "default". */
  readonly origins: Readonly<Record<SettingName, string>>;
}

/**
 * Settings from flags, then environment variables, then presets, then defaults. An empty variable counts as unset.
 * @throws GptError `invalid_config` that names the flag or variable, the value and the range.
 */
export function resolveSettings(sources: SettingSources): Settings {
  return explainSettings(sources).settings;
}

/** The same, with the origin of every value. */
export function explainSettings({ flags = {}, env = {}, presets = {} }: SettingSources): ResolvedSettings {
  const values: Record<string, unknown> = {};
  const origins = {} as Record<SettingName, string>;
  for (const setting of SETTINGS) {
    const { name } = setting;
    const flag = flags[setting.flag];
    const variable = isServiceLink(env[setting.env]) ? undefined : env[setting.env] || undefined;
    const preset = presets[name];
    origins[name] = "default";
    if (flag !== undefined) {
      origins[name] = `--${setting.flag}`;
      values[name] = parseValue(setting, origins[name], flag);
    } else if (variable !== undefined) {
      origins[name] = setting.env;
      const texts = setting.multiple ? variable.split(",").map((text) => text.trim()) : variable;
      values[name] = parseValue(setting, origins[name], texts);
    } else if (preset !== undefined) {
      origins[name] = preset.origin;
      values[name] = parseValue(setting, preset.origin, preset.value);
    }
  }
  const settings = settingsSchema.parse(values);
  checkTogether(settings);
  return { settings, origins };
}

/** Settings that are right by themselves and wrong together. */
function checkTogether({ bodyBytesMax, bodiesBytesMax }: Settings): void {
  if (bodiesBytesMax >= bodyBytesMax) return;
  throw new GptError(
    "invalid_config",
    `--bodies-bytes-max must be at least --body-bytes-max, ${bodyBytesMax}, got ${bodiesBytesMax}`,
  );
}

/** Kubernetes sets GPT2_API_PORT=tcp://… itself where a Service is named gpt2-api; that is nobody's setting. */
function isServiceLink(text: string | undefined): boolean {
  return text !== undefined && /^(tcp|udp|sctp):\/\//.test(text);
}

function parseValue(setting: Setting, source: string, text: unknown): unknown {
  const result = settingsSchema.shape[setting.name].safeParse(fromText(setting, text));
  if (result.success) return result.data;
  const came = typeof text === "string" ? quote(text) : String(text);
  throw new GptError("invalid_config", `${source} must be ${setting.range}, got ${came}. ${setting.help}`);
}

/** What a text from a command line or a variable stands for. */
function fromText({ schema }: Setting, text: unknown): unknown {
  if (typeof text !== "string") return text;
  if (schema.type === "integer" && /^-?\d+$/.test(text)) return Number(text);
  if (schema.type === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}
