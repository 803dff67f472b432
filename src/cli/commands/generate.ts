// `gpt2-api generate`: generates from the command line, with the parameters, defaults and answers of the endpoint. It
// takes one prompt, or a file of requests that are answered together.
import { randomInt } from "node:crypto";
import { GptError } from "../../errors.ts";
import { weightCacheOf } from "../../files/cache-folders.ts";
import { loadGenerator } from "../../generator/load-generator.ts";
import type { Fields } from "../../request/body.ts";
import type { GenerationParams, Generator } from "../../request/generation.ts";
import { type ParseOptions, parseGenerationParams, requestSchema } from "../../request/params.ts";
import { SEEDS } from "../../request/seeds.ts";
import type { ResolvedSettings, Settings } from "../../settings.ts";
import { fieldsOf, type JsonSchema } from "../../wording.ts";
import type { Command, Options } from "../command.ts";
import { CONFIG_OPTION, settingsOf } from "../config-file.ts";
import { type Flags, parseFlags, settingOptions } from "../flags.ts";
import { answerInWords, answerLine, answerWhileItGrows } from "../generated-text.ts";
import { findModelOf } from "../hub-models.ts";
import { errorLine, type Line, mapInOrder, parseLine, readLines } from "../json-lines.ts";
import { EXIT, warn } from "../report.ts";
import { readStandardInput } from "../standard-input.ts";
import { loadingText, Progress } from "../terminal.ts";

const SETTING_NAMES = [
  "model",
  "offline",
  "precision",
  "threads",
  "kernels",
  "kvCacheMb",
  "weightCacheMb",
  "passTokensMax",
  "passRowsMax",
  "maxNumReturnSequences",
  "maxNumBeams",
  "bodyBytesMax",
  "queueRequestsMax",
] as const;
const COMMON_PARAMETERS = ["max_length", "num_return_sequences", "mode", "seed"];

/** Longer than any context. The model's own length is checked once the model is loaded. */
const ANY_LENGTH = { contextLength: 1_000_000 };
const parameters = Object.entries(fieldsOf(requestSchema(ANY_LENGTH))).filter(([name]) => name !== "input");
const flagOf = (name: string): string => name.replaceAll("_", "-");

/** The placeholder of a value in the help, by the value's type. */
const VALUES = { number: "N", boolean: "true|false", text: "TEXT|JSON", json: "JSON" } as const;

function valueType(schema: JsonSchema): keyof typeof VALUES {
  const types = (schema.anyOf ?? [schema]).map(({ type }) => type);
  if (types.includes("boolean")) return "boolean";
  if (types.includes("string")) return "text";
  return types.includes("array") || types.includes("object") ? "json" : "number";
}

const parameterOptions: Options = Object.fromEntries(
  parameters.map(([name, schema]) => {
    const { description = "", enum: choices, default: preset } = schema;
    const help = preset === undefined || preset === null ? description : `${description} Default ${preset}.`;
    const common = COMMON_PARAMETERS.includes(name);
    return [
      flagOf(name),
      {
        type: "string",
        value: choices?.join("|") ?? VALUES[valueType(schema)],
        help,
        common,
        group: "Request",
      },
    ];
  }),
);

export const generate: Command = {
  summary: "Completes a prompt, or answers a file of requests.",
  operands: "[PROMPT]",
  examples: [
    [
      "Three continuations, as the endpoint gives them",
      'gpt2-api generate "The old man looked at the sea and"',
    ],
    ["The likeliest one", 'gpt2-api generate --mode greedy --num-return-sequences 1 "The server should"'],
    ["A prompt from a file", "gpt2-api generate --max-length 200 < prompt.txt"],
    ["Many requests, answered together", "gpt2-api generate --requests requests.jsonl > answers.jsonl"],
  ],
  options: {
    ...parameterOptions,
    json: {
      type: "boolean",
      common: true,
      help: "Prints one JSON object with token ids, finish reasons and scores.",
    },
    requests: {
      type: "string",
      value: "FILE.jsonl",
      common: true,
      help:
        "Answers one request a line, each a JSON object as the endpoint takes it, with JSON lines in the same order; " +
        "prompt_token_ids may replace input. - reads standard input.",
    },
    ...settingOptions(SETTING_NAMES, ["model", "precision"]),
    ...CONFIG_OPTION,
  },
  async run(argv) {
    const flags = parseFlags(argv, generate);
    const resolved = settingsOf(flags.values, process.env);
    const { settings } = resolved;
    const prompt = await promptOf(flags, settings);
    const generator = await load(resolved);
    try {
      const options: ParseOptions = {
        contextLength: generator.model.contextLength,
        maxNumReturnSequences: settings.maxNumReturnSequences,
        maxNumBeams: settings.maxNumBeams,
        randomSeed: () => randomInt(SEEDS),
        allowTokenIds: true,
      };
      if (prompt === undefined) {
        return await answerFile(generator, options, { path: String(flags.values.requests), settings });
      }
      const params = paramsOfFlags({ ...requestOf(flags), input: prompt }, options);
      await answer(generator, params, flags.values.json === true);
      return EXIT.success;
    } finally {
      await generator.close();
    }
  },
};

async function load(resolved: ResolvedSettings): Promise<Generator> {
  const { settings } = resolved;
  const { precision, kvCacheMb, threads, kernels, passTokensMax, passRowsMax, queueRequestsMax } = settings;
  const { directory, name } = await findModelOf(resolved, process.env);
  const weightCache = weightCacheOf(settings, process.env, warn);
  const progress = new Progress();
  return loadGenerator({
    model: directory,
    name,
    precision,
    kvCacheMb,
    threads,
    kernels,
    passTokensMax,
    passRowsMax,
    queueRequestsMax,
    ...(weightCache && { weightCache }),
    onProblem: warn,
    onLoading: (part) => progress.show(loadingText(name, part)),
  }).finally(progress.clear);
}

/** Means standard input, as in other programs. */
const STANDARD_INPUT = "-";

/**
 * The prompt; undefined when a file of requests was named. Without either, the prompt is read from standard input, unless
 * that is a terminal: a person would not know that the command waits for input.
 */
async function promptOf({ values, operands }: Flags, settings: Settings): Promise<string | undefined> {
  const [prompt, surplus] = operands;
  if (surplus !== undefined) {
    throw new GptError(
      "invalid_config",
      `Only one PROMPT may be given, got a second one, "${surplus}": put it in quotes`,
    );
  }
  const isFile = values.requests !== undefined;
  if (isFile && prompt === undefined) return undefined;
  if (!isFile && prompt === STANDARD_INPUT) return readStandardInput(settings.bodyBytesMax);
  if (!isFile && prompt !== undefined) return prompt;
  const text = isFile || process.stdin.isTTY ? "" : await readStandardInput(settings.bodyBytesMax);
  if (text !== "") return text;
  throw new GptError(
    "invalid_config",
    "One of three must be given: a PROMPT, a text on standard input, or --requests FILE.jsonl",
  );
}

/** What is wrong with a parameter is here a flag that is wrong, and ends the command as one does. */
function paramsOfFlags(fields: Fields, options: ParseOptions): GenerationParams {
  try {
    return parseGenerationParams(fields, options);
  } catch (error) {
    if (!(error instanceof GptError)) throw error;
    throw new GptError("invalid_config", error.message, { cause: error });
  }
}

/** The parameters among the flags, as fields of a request. */
function requestOf({ values }: Flags): Record<string, unknown> {
  const given = parameters.flatMap(([name, schema]) => {
    const text = values[flagOf(name)];
    return typeof text === "string" ? [[name, fieldValue(schema, text)]] : [];
  });
  return Object.fromEntries(given);
}

/** The value that a flag's text stands for. A text that fits no type is returned as it is, and the schema then refuses it. */
function fieldValue(schema: JsonSchema, text: string): unknown {
  const types = (schema.anyOf ?? [schema]).map(({ type }) => type);
  const isNumber = text.trim() !== "" && Number.isFinite(Number(text));
  if ((types.includes("integer") || types.includes("number")) && isNumber) return Number(text);
  if (types.includes("boolean") && /^(true|false)$/.test(text)) return text === "true";
  if (types.includes("null") && text === "null") return null;
  const isJson = types.includes("object") || (types.includes("array") && /^\s*\[/.test(text));
  if (!isJson) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function answer(generator: Generator, params: GenerationParams, isJson: boolean): Promise<void> {
  const write = (text: string): void => void process.stdout.write(text);
  if (!isJson && process.stdout.isTTY) return answerWhileItGrows(generator, params, write);
  const generation = await generator.generate(params);
  write(isJson ? answerLine(generation, generator, params) : answerInWords(generation));
}

interface RequestsFile {
  readonly path: string;
  readonly settings: Settings;
}

async function answerFile(
  generator: Generator,
  options: ParseOptions,
  { path, settings: { bodyBytesMax, queueRequestsMax } }: RequestsFile,
): Promise<number> {
  let failed = false;
  const answer = async (request: Line): Promise<string> => {
    try {
      const params = parseGenerationParams(parseLine(request, bodyBytesMax), options);
      return answerLine(await generator.generate(params), generator, params);
    } catch (error) {
      failed = true;
      return errorLine(request, error);
    }
  };
  const requests = readLines(path, bodyBytesMax);
  const progress = new Progress();
  let numAnswered = 0;
  for await (const text of mapInOrder(requests, queueRequestsMax, answer)) {
    progress.clear();
    process.stdout.write(text);
    progress.show(`${++numAnswered} requests are answered …`);
  }
  progress.clear();
  return failed ? EXIT.failure : EXIT.success;
}
