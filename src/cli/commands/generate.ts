// `gpt2-api generate`: the same parameters, defaults and answers as the endpoint, from the command line; one prompt, or
// a file of requests that are answered together.
import { randomInt } from "node:crypto";
import { GptError } from "../../errors.ts";
import { weightCacheOf } from "../../files/cache-folders.ts";
import { loadGenerator } from "../../generator/load-generator.ts";
import { modelName, resolveModelDirectory } from "../../generator/model-directory.ts";
import type { Generation, Generator } from "../../request/generation.ts";
import {
  type ParseOptions,
  parseGenerationParams,
  parseJsonBody,
  requestSchema,
} from "../../request/params.ts";
import { resolveSettings, type Settings } from "../../settings.ts";
import { fieldsOf } from "../../wording.ts";
import type { Command, Options } from "../command.ts";
import { type Flags, parseFlags, settingOptions } from "../flags.ts";
import { errorLine, type Line, mapInOrder, readLines } from "../json-lines.ts";
import { warn } from "../report.ts";

const SETTING_NAMES = [
  "model",
  "precision",
  "kvCacheMb",
  "threads",
  "kernels",
  "weightCacheMb",
  "maxNumReturnSequences",
  "maxNumBeams",
] as const;

/** A context as long as any: the loaded model's own is checked when it is known. */
const ANY_LENGTH = { contextLength: 1_000_000 };
const parameters = Object.entries(fieldsOf(requestSchema(ANY_LENGTH))).filter(([name]) => name !== "input");
const flagOf = (name: string): string => name.replaceAll("_", "-");

const parameterOptions: Options = Object.fromEntries(
  parameters.map(([name, { description = "", enum: choices, default: preset }]) => {
    const help = preset === undefined || preset === null ? description : `${description} Default ${preset}.`;
    return [flagOf(name), { type: "string", value: choices?.join("|") ?? "N", help }];
  }),
);

export const generate: Command = {
  summary: "Completes a prompt, or answers a file of requests.",
  operands: "[PROMPT]",
  options: {
    ...settingOptions(SETTING_NAMES),
    ...parameterOptions,
    json: { type: "boolean", help: "Prints one JSON object with token ids, finish reasons and scores." },
    requests: {
      type: "string",
      value: "FILE.jsonl",
      help:
        "Answers one request a line, each a JSON object as the endpoint takes it, with JSON lines in the same order; " +
        "prompt_token_ids may replace input. - reads standard input.",
    },
  },
  async run(argv) {
    const flags = parseFlags(argv, generate);
    const settings = resolveSettings({ flags: flags.values, env: process.env });
    const prompt = promptOf(flags);
    const generator = await load(settings);
    try {
      const options: ParseOptions = {
        contextLength: generator.model.contextLength,
        maxNumReturnSequences: settings.maxNumReturnSequences,
        maxNumBeams: settings.maxNumBeams,
        randomSeed: () => randomInt(2 ** 32),
        allowTokenIds: true,
      };
      if (prompt === undefined) return await answerFile(generator, options, String(flags.values.requests));
      const params = parseGenerationParams({ ...requestOf(flags), input: prompt }, options);
      const generation = await generator.generate(params);
      process.stdout.write(flags.values.json ? line(generation, generator) : texts(generation));
      return 0;
    } finally {
      await generator.close();
    }
  },
};

function load(settings: Settings): Promise<Generator> {
  const { precision, kvCacheMb, threads, kernels, passTokensMax, passRowsMax } = settings;
  const directory = resolveModelDirectory(settings.model);
  const weightCache = weightCacheOf(settings, process.env);
  return loadGenerator({
    ...{ model: directory, name: modelName(directory) },
    ...{ precision, kvCacheMb, threads, kernels, passTokensMax, passRowsMax },
    queueRequestsMax: REQUESTS_AT_ONCE,
    ...(weightCache && { weightCache }),
    onProblem: warn,
  });
}

/** Requests of a file that are open at the same time. */
const REQUESTS_AT_ONCE = 64;

/** The prompt, or undefined when a file of requests was named instead. */
function promptOf({ values, operands }: Flags): string | undefined {
  const [prompt, surplus] = operands;
  if (surplus !== undefined) {
    throw new GptError(
      "invalid_config",
      `One PROMPT is taken, got a second one, "${surplus}": put it in quotes`,
    );
  }
  const isFile = values.requests !== undefined;
  if (isFile !== (prompt !== undefined)) return prompt;
  throw new GptError(
    "invalid_config",
    "Either a PROMPT or --requests FILE.jsonl must be given, and not both",
  );
}

/** The parameters among the flags, as fields of a request. */
function requestOf({ values }: Flags): Record<string, unknown> {
  const given = parameters.flatMap(([name, { type, anyOf }]) => {
    const text = values[flagOf(name)];
    if (typeof text !== "string") return [];
    const isNumber =
      (type !== "string" || anyOf !== undefined) && text.trim() !== "" && Number.isFinite(Number(text));
    return [[name, isNumber ? Number(text) : text]];
  });
  return Object.fromEntries(given);
}

async function answerFile(generator: Generator, options: ParseOptions, path: string): Promise<number> {
  let failed = false;
  const answer = async (request: Line): Promise<string> => {
    try {
      const params = parseGenerationParams(parseJsonBody(new TextEncoder().encode(request.text)), options);
      return line(await generator.generate(params), generator);
    } catch (error) {
      failed = true;
      return `${JSON.stringify(errorLine(request, error))}\n`;
    }
  };
  for await (const text of mapInOrder(readLines(path), REQUESTS_AT_ONCE, answer)) process.stdout.write(text);
  return failed ? 1 : 0;
}

function line({ sequences, seed }: Generation, { model }: Generator): string {
  const answer = {
    sequences: sequences.map(({ text, tokenIds, finishReason, score }) => ({
      ...{ text, token_ids: tokenIds, finish_reason: finishReason },
      ...(score === undefined ? {} : { score }),
    })),
    ...{ seed, model: model.name, precision: model.precision },
  };
  return `${JSON.stringify(answer)}\n`;
}

/** The texts for a person, a ruled line between them. */
function texts({ sequences }: Generation): string {
  return `${sequences.map(({ text }) => text).join(`\n${"─".repeat(40)}\n`)}\n`;
}
