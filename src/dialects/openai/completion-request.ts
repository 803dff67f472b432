// The body of OpenAI's POST /v1/completions, with the fields that other servers of this API have added. The body is checked and
// turned into one request of the core for each prompt. The form of the answer is in `completion-answer.ts`.
import { z } from "zod";
import type { DecodingParams, Search } from "../../decoding/decoding-params.ts";
import { GptError } from "../../errors.ts";
import { type Fields, withoutNull } from "../../request/body.ts";
import { invalidField, keptByLimits, parseFields } from "../../request/fields.ts";
import type { GenerationParams } from "../../request/generation.ts";
import { REQUEST_LIMITS } from "../../request/request-limits.ts";
import {
  BEAM_FIELDS,
  refuseStrangeBias,
  SEARCH_FIELDS,
  searchExtras,
  stopStringsOf,
} from "../../request/search-fields.ts";
import { anySeed, seedOf, seedOfPrompt } from "../../request/seeds.ts";
import { nearest } from "../../wording.ts";
import { readPrompts } from "./prompts.ts";

export interface CompletionLimits {
  readonly maxNumReturnSequences: number;
  readonly maxNumBeams: number;
  /** Returns an integer from 0 to 2^32 − 1. Called if the request has no seed. */
  readonly randomSeed: () => number;
}

/** A checked request. */
export interface CompletionRequest {
  /** One for each prompt. */
  readonly requests: readonly GenerationParams[];
  readonly seed: number;
  readonly echo: boolean;
  readonly tellsLogprobs: boolean;
  readonly isStreamed: boolean;
  /** True: a stream ends with a chunk that holds the usage. */
  readonly includesUsage: boolean;
  readonly returnsTokenIds: boolean;
  /** True: lists of log-probabilities name a token `token_id:N`, not by its text. */
  readonly namesTokensById: boolean;
}

const DEFAULT_MAX_TOKENS = 16;

/** The schema of a request without its prompt. It can be exported as JSON Schema. */
export function completionSchema({
  maxNumReturnSequences,
  maxNumBeams,
}: Omit<CompletionLimits, "randomSeed">) {
  const count = z.int().min(1).max(maxNumReturnSequences);
  return z.object({
    model: z.string().optional().describe("The name of an endpoint, or of a model that one of them serves."),
    max_tokens: z
      .int()
      .min(0)
      .optional()
      .describe(
        `Largest number of new tokens. Default: ${DEFAULT_MAX_TOKENS}, or as many as fit. 0 needs echo.`,
      ),
    max_new_tokens: z.int().min(0).optional().describe("The same; the smaller one counts."),
    temperature: z
      .number()
      .min(0)
      .max(2)
      .default(1)
      .describe("Divides the logits; 0 takes the likeliest token."),
    top_p: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe("Keeps the most likely tokens until they hold this much probability; 1 keeps all."),
    top_k: z
      .int()
      .min(-1)
      .default(0)
      .describe("Keeps this many of the most likely tokens; 0 and -1 keep all."),
    n: count.default(1).describe("Choices for each prompt."),
    best_of: count.optional().describe("Number of candidates, of which the n most likely are returned."),
    stream: z.boolean().default(false).describe("Sends the texts while they grow, as server-sent events."),
    stream_options: z
      .strictObject({
        include_usage: z.boolean().nullish(),
        include_obfuscation: z.boolean().nullish(),
        continuous_usage_stats: z.boolean().nullish(),
      })
      .optional()
      .meta({ "x-expected": 'an object such as {"include_usage": true}' })
      .describe("include_usage: the stream ends with a chunk that holds the usage."),
    logprobs: z
      .int()
      .min(0)
      .max(REQUEST_LIMITS.logprobs.max)
      .optional()
      .describe(
        "Returns the log-probability of each token, and this many of the most likely tokens beside it.",
      ),
    echo: z.boolean().default(false).describe("The texts begin with the prompt."),
    seed: anySeed,
    suffix: z.literal("").optional().meta({ "x-expected": "empty" }).describe("Must be empty."),
    user: z.string().optional().describe("Not used."),
    no_repeat_ngram_size: z
      .int()
      .min(0)
      .default(0)
      .describe("No run of this many tokens occurs twice; 0 allows all."),
    num_beams: z
      .int()
      .min(1)
      .max(maxNumBeams)
      .optional()
      .describe("Above 1: beam search with this many beams."),
    use_beam_search: z.boolean().default(false).describe("Beam search with num_beams, best_of or n texts."),
    ...BEAM_FIELDS,
    min_tokens: z.int().min(0).default(0).describe("No end-of-text comes before this many new tokens."),
    include_stop_str_in_output: z.boolean().default(false).describe("What ended a text stays in it."),
    return_token_ids: z
      .boolean()
      .default(false)
      .describe("Choices list the ids of their tokens and of the prompt's."),
    return_tokens_as_token_ids: z.boolean().default(false).describe("logprobs names tokens token_id:N."),
    return_full_text: z.boolean().optional().describe("The same as echo."),
    ...SEARCH_FIELDS,
  });
}

/** Fields that clients send and that have no effect here. */
const WITHOUT_EFFECT = [
  "add_special_tokens",
  "spaces_between_special_tokens",
  "cache_prompt",
  "store",
  "metadata",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "logitBias",
];

type Values = z.output<ReturnType<typeof completionSchema>>;

const schemaFor = keptByLimits(completionSchema);

/**
 * Reads a body. A field that is null counts as absent, because most clients send null for what is not set.
 * @throws GptError `unknown_field` or `invalid_field`, with the field
 */
export function readCompletion(body: Fields, limits: CompletionLimits): CompletionRequest {
  const { prompt, ...fields } = withoutNull(body);
  const schema = schemaFor(limits);
  const { skip_special_tokens: skipsSpecial, ...known } = withoutUnknown(fields, Object.keys(schema.shape));
  if (skipsSpecial !== undefined && skipsSpecial !== true) {
    throw invalidField(
      "skip_special_tokens",
      "skip_special_tokens must be true: special tokens are never part of a text",
    );
  }
  refuseStrangeBias(known);
  const values = parseFields(known, schema);
  const seed = seedOf(values.seed, limits.randomSeed);
  const prompts = readPrompts(prompt);
  const echo = values.return_full_text ?? values.echo;
  const search = searchOf(values);
  checkTogether(values, search, echo);
  return {
    requests: prompts.map((own, j) => ({
      ...own,
      ...coreRequest(values, search, echo),
      decoding: decodingOf(values, search, seedOfPrompt(seed, j), echo),
    })),
    seed,
    echo,
    tellsLogprobs: values.logprobs !== undefined,
    isStreamed: values.stream,
    includesUsage: values.stream_options?.include_usage === true,
    returnsTokenIds: values.return_token_ids,
    namesTokensById: values.return_tokens_as_token_ids,
  };
}

/** Removes the fields without effect. The error begins with OpenAI's own words, since programs look for them. */
function withoutUnknown(fields: Fields, known: readonly string[]): Fields {
  const taken = [...known, "skip_special_tokens"];
  const entries = Object.entries(fields).filter(([name]) => !WITHOUT_EFFECT.includes(name));
  const unknown = entries.find(([name]) => !taken.includes(name))?.[0];
  if (unknown === undefined) return Object.fromEntries(entries);
  const meant = nearest(unknown, ["prompt", ...known]);
  const hint = meant ? `; did you mean ${meant}?` : "";
  const message = `Unrecognized request argument supplied: ${unknown.slice(0, 100)}${hint}`;
  throw new GptError("unknown_field", message, { field: unknown });
}

/** Which search the fields ask for: beam search, greedy search or sampling. */
function searchOf(values: Values): Search {
  const { n, best_of: bestOf, temperature, use_beam_search: isBeamSearch } = values;
  const numBeams = isBeamSearch ? (values.num_beams ?? bestOf ?? n) : (values.num_beams ?? 1);
  if (numBeams > 1) {
    const { length_penalty: lengthPenalty, early_stopping: earlyStopping } = values;
    return { kind: "beam", numBeams, lengthPenalty, earlyStopping };
  }
  if (isBeamSearch || temperature === 0) return { kind: "greedy" };
  const minP = values.min_p > 0 ? { minP: values.min_p } : {};
  return { kind: "sample", temperature, topK: Math.max(0, values.top_k), topP: values.top_p, ...minP };
}

function checkTogether(values: Values, search: Search, echo: boolean): void {
  const { n, best_of: bestOf, stream, use_beam_search: isBeamSearch } = values;
  if (bestOf !== undefined && bestOf < n) {
    throw invalidField("best_of", `best_of must be at least n (${n}), got ${bestOf}`);
  }
  if (search.kind === "beam" && n > search.numBeams) {
    throw invalidField("n", `n must be at most the number of beams (${search.numBeams}), got ${n}`);
  }
  if (search.kind === "beam" && !isBeamSearch && bestOf !== undefined && bestOf > n) {
    throw invalidField("best_of", `best_of must equal n (${n}) beside num_beams, got ${bestOf}`);
  }
  if (stream && search.kind === "sample" && bestOf !== undefined && bestOf > n) {
    throw invalidField("best_of", `best_of must equal n (${n}) in a stream, got ${bestOf}`);
  }
  if (values.stream_options !== undefined && !stream) {
    throw invalidField("stream_options", "stream_options must be left out unless stream is true");
  }
  if (maxTokensOf(values) === 0 && !echo) {
    const name = values.max_tokens === 0 ? "max_tokens" : "max_new_tokens";
    throw invalidField(name, `${name} must be at least 1 unless echo is true, got 0`);
  }
}

function maxTokensOf({ max_tokens: a, max_new_tokens: b }: Values): number | undefined {
  return a !== undefined && b !== undefined ? Math.min(a, b) : (a ?? b);
}

/** The part of the core's request besides the prompt and the decoding. */
function coreRequest(values: Values, search: Search, echo: boolean): Omit<GenerationParams, "decoding"> {
  const maxTokens = maxTokensOf(values);
  const stopStrings = stopStringsOf(values);
  const { n, best_of: bestOf = n } = values;
  return {
    maxNewTokens: maxTokens ?? DEFAULT_MAX_TOKENS,
    ...(maxTokens === undefined && { fitsContext: true }),
    ...(stopStrings.length > 0 && { stopStrings }),
    ...(values.include_stop_str_in_output && { includeStop: true }),
    ...(!echo && { echo: false }),
    ...(values.logprobs !== undefined && { tellsLogprobs: true }),
    ...(search.kind === "sample" && bestOf > n && { keepBest: n }),
  };
}

function decodingOf(values: Values, search: Search, seed: number, echo: boolean): DecodingParams {
  const { n, best_of: bestOf = n, logprobs } = values;
  const isBestOf = search.kind === "sample" && bestOf > n;
  return {
    maxLength: 0, // Not used, because `maxNewTokens` is always set.
    numReturnSequences: isBestOf ? bestOf : n,
    seed,
    noRepeatNgramSize: values.no_repeat_ngram_size,
    search,
    ...searchExtras(values, values.min_tokens),
    ...(logprobs !== undefined ? { logprobs } : isBestOf && { logprobs: 0 }),
    ...(logprobs !== undefined && echo && { promptLogprobs: true }),
  };
}
