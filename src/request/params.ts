// Every parameter of a request in one schema: type, range, default and meaning. A table says which mode reads which. It turns
// a JSON body into `GenerationParams`. The generator, which can count tokens, compares the prompt's length with the limits.
import { z } from "zod";
import type { DecodingParams, Search } from "../decoding/decoding-params.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { describeValue } from "../wording.ts";
import { type Fields, requireObject } from "./body.ts";
import { invalidField, keptByLimits, parseFields, refuseUnknown } from "./fields.ts";
import type { GenerationParams } from "./generation.ts";
import { REQUEST_LIMITS } from "./request-limits.ts";
import {
  BEAM_FIELDS,
  refuseStrangeBias,
  SEARCH_FIELDS,
  searchExtras,
  stopStringsOf,
} from "./search-fields.ts";
import { SEEDS } from "./seeds.ts";

/** The parameters of a search, and the modes that read them. */
export const MODES = {
  "sample-top-p": {
    reads: ["top_p", "top_k", "min_p", "best_of"],
    help: "Draws from the most likely tokens that hold top_p.",
  },
  "sample-top-k": { reads: ["top_k", "min_p", "best_of"], help: "Draws from the top_k most likely tokens." },
  sample: {
    reads: ["top_p", "top_k", "temperature", "min_p", "best_of"],
    help: "The general form of the two above.",
  },
  beam: {
    reads: ["num_beams", "no_repeat_ngram_size", "length_penalty", "early_stopping"],
    help: "Beam search for the most likely texts.",
  },
  greedy: { reads: [], help: "Takes the most likely token at every step; all sequences are equal." },
} as const satisfies Record<string, { reads: readonly SearchParameter[]; help: string }>;

export type Mode = keyof typeof MODES;
type SearchParameter =
  | "top_p"
  | "top_k"
  | "temperature"
  | "min_p"
  | "best_of"
  | "num_beams"
  | "no_repeat_ngram_size"
  | "length_penalty"
  | "early_stopping";

const DEFAULT_MAX_LENGTH = 100;

/** The filters of the sampling modes. Their ranges do not depend on the model or the settings. */
const FILTERS = {
  top_p: z
    .number()
    .min(0)
    .max(1)
    .default(0.92)
    .describe("Keeps the most likely tokens until they hold this much probability; 1 keeps all."),
  top_k: z.int().min(0).default(50).describe("Keeps this many of the most likely tokens; 0 keeps all."),
  temperature: z
    .number()
    .gt(0)
    .default(0.7)
    .describe("Divides the logits: below 1 likely tokens become likelier, above 1 less so."),
};

/** The parameters of all modes, with ranges that do not depend on the model or the settings. */
const COMMON = {
  no_repeat_ngram_size: z
    .int()
    .min(0)
    .default(2)
    .describe("No run of this many tokens occurs twice; 0 allows all. Outside beam mode only when sent."),
  seed: z
    .int()
    .min(-1)
    .max(SEEDS - 1)
    .nullable()
    .default(null)
    .describe("The same seed gives the same texts; -1 or null takes a fresh random one."),
};

/** The parameters that decide what an answer contains. */
const ANSWER_FIELDS = {
  min_new_tokens: z
    .int()
    .min(0)
    .default(0)
    .describe("No end-of-text and no stop token comes before this many new tokens."),
  logprobs: z
    .int()
    .min(0)
    .max(REQUEST_LIMITS.logprobs.max)
    .optional()
    .describe(
      "Returns objects with the log-probability of each token, and this many of the most likely tokens beside it.",
    ),
  include_stop: z
    .boolean()
    .default(false)
    .describe("What ended a text stays in it: a stop string with the rest of its token, or a stop token."),
  echo: z
    .boolean()
    .default(true)
    .describe("The texts begin with the input; with logprobs its tokens are listed too."),
};

export interface ParameterLimits {
  /** The model's n_positions. */
  readonly contextLength: number;
  readonly maxNumReturnSequences?: number;
  readonly maxNumBeams?: number;
}

/** The schema of a request body for a model and its limits. It can be exported as JSON Schema. */
export function requestSchema(limits: ParameterLimits) {
  const { contextLength } = limits;
  const maxNumReturnSequences = limits.maxNumReturnSequences ?? DEFAULT_SETTINGS.maxNumReturnSequences;
  const maxNumBeams = limits.maxNumBeams ?? DEFAULT_SETTINGS.maxNumBeams;
  return z.strictObject({
    input: z
      .string()
      .describe("Text to be completed. An empty one starts a text; <|endoftext|> is the special token."),
    max_length: z
      .int()
      .min(1)
      .max(contextLength)
      .default(Math.min(DEFAULT_MAX_LENGTH, contextLength))
      .describe("Largest number of tokens of a sequence, including the input's tokens."),
    max_new_tokens: z
      .int()
      .min(0)
      .max(contextLength)
      .optional()
      .describe(
        "Largest number of tokens after the input; replaces max_length. With 0 nothing is generated.",
      ),
    truncate: z
      .int()
      .min(1)
      .max(contextLength)
      .optional()
      .describe("Only this many tokens at the end of the input are given to the model."),
    num_return_sequences: z
      .int()
      .min(1)
      .max(maxNumReturnSequences)
      .default(Math.min(3, maxNumReturnSequences))
      .describe("Number of sequences to return; in beam mode at most num_beams."),
    mode: z
      .enum(Object.keys(MODES) as [Mode, ...Mode[]])
      .default("sample-top-p")
      .describe("How tokens are chosen."),
    ...FILTERS,
    num_beams: z
      .int()
      .min(1)
      .max(maxNumBeams)
      .default(Math.min(5, maxNumBeams))
      .describe("Number of texts that a beam search keeps at every step."),
    ...BEAM_FIELDS,
    best_of: z
      .int()
      .min(1)
      .max(maxNumReturnSequences)
      .optional()
      .describe(
        "This many texts are sampled, and the num_return_sequences most likely of them are returned.",
      ),
    ...COMMON,
    ...SEARCH_FIELDS,
    ...ANSWER_FIELDS,
  });
}

/** An extension for requests that are read from a file: token ids instead of a text. */
const promptTokenIds = z.array(z.int().min(0)).min(1);

export interface ParseOptions extends ParameterLimits {
  /** Returns an integer from 0 to 2^32 − 1; called if the request has no seed. */
  readonly randomSeed: () => number;
  /** Accept `prompt_token_ids` instead of `input`. */
  readonly allowTokenIds?: boolean;
}

type RequestSchema = ReturnType<typeof requestSchema>;

/** The parameters of a request over HTTP, by their names. */
export type TextRequest = z.input<RequestSchema>;

/** The parameters of a request by their names, with a text or token ids. */
export type GenerationRequest = Omit<TextRequest, "input"> &
  ({ readonly input: string } | { readonly prompt_token_ids: readonly number[] });

type Parameters = z.output<RequestSchema>;

const schemaFor = keptByLimits(requestSchema);

/**
 * Checks a request body, adds the defaults and keeps what its mode reads. Callers that answer many requests pass the same
 * `options` object.
 * @throws GptError `invalid_body`, `unknown_field` or `invalid_field`
 */
export function parseGenerationParams(body: unknown, options: ParseOptions): GenerationParams {
  const fields = requireObject(body);
  const schema = schemaFor(options);
  refuseUnknown(fields, [
    ...Object.keys(schema.shape),
    ...(options.allowTokenIds ? ["prompt_token_ids"] : []),
  ]);
  const { prompt_token_ids: tokenIds, ...rest } = fields;
  const prompt = tokenIds === undefined ? undefined : parseTokenIds(tokenIds, rest);
  const parameters = parseFields(prompt ? { ...rest, input: "" } : rest, schema);
  checkTogether(parameters, fields);

  const { max_new_tokens: maxNewTokens, truncate, include_stop: includeStop, echo } = parameters;
  const stopStrings = stopStringsOf(parameters);
  const bestOf = bestOfRead(parameters);
  return {
    ...(prompt ? { promptTokenIds: prompt } : { input: parameters.input }),
    ...(maxNewTokens !== undefined && { maxNewTokens }),
    ...(truncate !== undefined && { truncatePrompt: truncate }),
    ...(stopStrings.length > 0 && { stopStrings }),
    ...(includeStop && { includeStop }),
    ...(!echo && { echo }),
    ...(parameters.logprobs !== undefined && { tellsLogprobs: true }),
    ...(bestOf !== undefined && { keepBest: parameters.num_return_sequences }),
    decoding: decodingOf(parameters, fields, options.randomSeed),
  };
}

function decodingOf(parameters: Parameters, fields: Fields, randomSeed: () => number): DecodingParams {
  const { mode, seed, logprobs, echo } = parameters;
  const bansNgrams = mode === "beam" || fields.no_repeat_ngram_size !== undefined;
  const bestOf = bestOfRead(parameters);
  return {
    maxLength: parameters.max_length,
    numReturnSequences: bestOf ?? parameters.num_return_sequences,
    seed: seed === null || seed === -1 ? randomSeed() : seed,
    noRepeatNgramSize: bansNgrams ? parameters.no_repeat_ngram_size : 0,
    search: searchOf(parameters),
    ...searchExtras(parameters, parameters.min_new_tokens),
    ...(logprobs !== undefined ? { logprobs } : bestOf !== undefined && { logprobs: 0 }),
    ...(logprobs !== undefined && echo && { promptLogprobs: true }),
  };
}

/** How many sequences are drawn to return the best of them; undefined if the mode does not choose. */
function bestOfRead({ mode, best_of: bestOf, num_return_sequences: count }: Parameters): number | undefined {
  const reads: readonly SearchParameter[] = MODES[mode].reads;
  return bestOf !== undefined && bestOf > count && reads.includes("best_of") ? bestOf : undefined;
}

/** Values of the filters that have no effect, for modes that do not read them. */
const OFF = { top_p: 1, top_k: 0, temperature: 1, min_p: 0 } as const;

function searchOf(parameters: Parameters): Search {
  const { mode } = parameters;
  if (mode === "greedy") return { kind: "greedy" };
  if (mode === "beam") {
    const { num_beams: numBeams, length_penalty: lengthPenalty, early_stopping: earlyStopping } = parameters;
    return { kind: "beam", numBeams, lengthPenalty, earlyStopping };
  }
  const reads: readonly SearchParameter[] = MODES[mode].reads;
  const value = (name: keyof typeof OFF): number => (reads.includes(name) ? parameters[name] : OFF[name]);
  const minP = value("min_p");
  return {
    kind: "sample",
    temperature: value("temperature"),
    topK: value("top_k"),
    topP: value("top_p"),
    ...(minP > 0 && { minP }),
  };
}

function parseTokenIds(value: unknown, rest: Fields): readonly number[] {
  if (rest.input !== undefined) {
    const message = "input and prompt_token_ids exclude each other; send one of them";
    throw invalidField("prompt_token_ids", message);
  }
  const result = promptTokenIds.safeParse(value);
  if (result.success) return result.data;
  const index = result.error.issues[0]?.path[0];
  const wrong =
    typeof index === "number" && Array.isArray(value)
      ? `${describeValue(value[index])} in it`
      : describeValue(value);
  throw invalidField(
    "prompt_token_ids",
    `prompt_token_ids must be a list of one or more token ids, integers of at least 0, got ${wrong}`,
  );
}

/** The rules that no single field can express. */
function checkTogether(parameters: Parameters, fields: Fields): void {
  if (fields.max_length !== undefined && fields.max_new_tokens !== undefined) {
    throw invalidField("max_length", "max_length and max_new_tokens exclude each other; send one of them");
  }
  refuseStrangeBias(fields);
  const { mode, num_beams: numBeams, num_return_sequences: numReturnSequences } = parameters;
  const reads: readonly SearchParameter[] = MODES[mode].reads;
  const { best_of: bestOf } = parameters;
  if (bestOf !== undefined && bestOf < numReturnSequences && reads.includes("best_of")) {
    throw invalidField(
      "best_of",
      `best_of must be at least num_return_sequences (${numReturnSequences}), got ${bestOf}`,
    );
  }
  if (mode === "beam" && numReturnSequences > numBeams) {
    const isDefault = fields.num_return_sequences === undefined ? ", the default" : "";
    throw invalidField(
      "num_return_sequences",
      `num_return_sequences must be at most num_beams (${numBeams}) in beam mode, got ${numReturnSequences}${isDefault}`,
    );
  }
}
