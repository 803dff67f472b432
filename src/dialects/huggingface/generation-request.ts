// The body of Hugging Face's text generation, `{"inputs", "parameters"}`, as TGI (Text Generation Inference), the pipeline of
// transformers and their clients use it. The body is checked and turned into one request of the core for each input. The form
// of the answer is in `generation-answer.ts`.
import { z } from "zod";
import type { DecodingParams, Search } from "../../decoding/decoding-params.ts";
import type { GptError } from "../../errors.ts";
import { type Fields, withoutNull } from "../../request/body.ts";
import { invalidField, keptByLimits, missingField, parseFields, unknownField } from "../../request/fields.ts";
import type { GenerationParams } from "../../request/generation.ts";
import { REQUEST_LIMITS } from "../../request/request-limits.ts";
import { BEAM_FIELDS, SEARCH_FIELDS, searchExtras } from "../../request/search-fields.ts";
import { anySeed, seedOf, seedOfPrompt } from "../../request/seeds.ts";
import { describeValue } from "../../wording.ts";

export interface HuggingFaceLimits {
  readonly contextLength: number;
  /** For the check of token ids. Undefined: any id is accepted. */
  readonly vocabSize?: number;
  readonly maxNumReturnSequences: number;
  readonly maxNumBeams: number;
  /** Returns an integer from 0 to 2^32 − 1. Called if the request has no seed. */
  readonly randomSeed: () => number;
}

/** What the route decides, as opposed to the body. */
export interface HuggingFacePlace {
  /** Whether texts begin with the input if the request does not say: yes in the pipeline, no on TGI's routes. */
  readonly echoes: boolean;
  /** Undefined: the body decides. */
  readonly isStreamed?: boolean;
  /** True: the answer is one text, not a list. */
  readonly isSingle?: boolean;
}

/** A checked request. */
export interface HuggingFaceRequest {
  readonly requests: readonly GenerationParams[];
  readonly seed: number;
  /** True: `inputs` was a list, so the answer is a list of lists. */
  readonly isList: boolean;
  readonly isStreamed: boolean;
  readonly isSampled: boolean;
  readonly tellsDetails: boolean;
  readonly tellsPrompt: boolean;
  /** How many of the most likely tokens to list for each position. Undefined: none. */
  readonly numTop: number | undefined;
}

const DEFAULT_NEW_TOKENS = 256;
const { logprobs, prompts, stopStrings, stopTokens } = REQUEST_LIMITS;

const count = z.int().min(1);
const text = SEARCH_FIELDS.stop;

/** The fields about endings and about the answer. Unlike the others, their ranges do not depend on the model's limits. */
const ENDINGS_AND_ANSWER = {
  min_new_tokens: z.int().min(0).default(0).describe("No end-of-text comes before this many new tokens."),
  min_length: z.int().min(0).default(0).describe("The same, including the input's tokens."),
  stop: text,
  stop_sequence: text,
  stop_sequences: text,
  stop_strings: text,
  seed: anySeed,
  return_full_text: z.boolean().optional().describe("The texts begin with the input."),
  details: z.boolean().default(false).describe("Answers list their tokens."),
  decoder_input_details: z.boolean().default(false).describe("Answers list the input's tokens too."),
  top_n_tokens: z
    .int()
    .min(0)
    .max(logprobs.max)
    .optional()
    .describe("Answers also list this many of the most likely tokens at each position."),
};

/** The schema of `parameters`. It can be exported as JSON Schema. */
export function parametersSchema(limits: Omit<HuggingFaceLimits, "randomSeed">) {
  const { contextLength, vocabSize, maxNumReturnSequences, maxNumBeams } = limits;
  const tokenId = vocabSize === undefined ? z.int().min(0) : z.int().min(0).lt(vocabSize);
  const tokenIds = vocabSize === undefined ? "a token id" : `a token id below ${vocabSize}`;
  const { repetition_penalty, frequency_penalty, min_p } = SEARCH_FIELDS;
  return z.object({
    max_new_tokens: count
      .max(contextLength)
      .optional()
      .describe(`Largest number of new tokens. Default: ${DEFAULT_NEW_TOKENS}, or as many as fit.`),
    max_length: count.max(contextLength).optional().describe("The same, including the input's tokens."),
    do_sample: z.boolean().optional().describe("Samples tokens. Default: true if a filter is sent."),
    temperature: z
      .number()
      .min(0)
      .max(100)
      .optional()
      .describe("Divides the logits; 0 takes the likeliest token."),
    top_k: z
      .int()
      .min(0)
      .optional()
      .describe("Keeps this many of the most likely tokens; 0 keeps all. Default when sampling: 50."),
    top_p: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe("Keeps the most likely tokens until they hold this much probability; 1 keeps all."),
    typical_p: z.literal(1).optional().meta({ "x-expected": "1" }).describe("Only 1, which has no effect."),
    no_repeat_ngram_size: z.int().min(0).default(0).describe("No run of this many tokens occurs twice."),
    num_beams: count.max(maxNumBeams).default(1).describe("Above 1: beam search with this many beams."),
    ...BEAM_FIELDS,
    num_return_sequences: count.max(maxNumReturnSequences).default(1).describe("Texts for each input."),
    best_of: count
      .max(maxNumReturnSequences)
      .default(1)
      .describe("This many texts are sampled, and the best one is returned."),
    truncate: count
      .max(contextLength)
      .optional()
      .describe("Only the last so many tokens of the input are read."),
    eos_token_id: z
      .union([tokenId, z.array(tokenId).max(stopTokens.max)])
      .optional()
      .meta({ "x-expected": `${tokenIds}, or a list of at most ${stopTokens.max} of them` })
      .describe("The tokens that end a text, in place of the model's own."),
    ...ENDINGS_AND_ANSWER,
    repetition_penalty,
    frequency_penalty,
    min_p,
  });
}

/** Features that are not offered. Clients send these fields switched off, so `false` is accepted and all else is refused. */
const MUST_BE_OFF = [
  "watermark",
  "grammar",
  "adapter_id",
  "return_tensors",
  "tools",
  "clean_up_tokenization_spaces",
];
/** Fields that clients send and that have no effect. LiteLLM sends the address it was configured with as `sagemaker_base_url`. */
const WITHOUT_EFFECT = [
  "return_text",
  "pad_token_id",
  "sagemaker_base_url",
  "model_id",
  "use_cache",
  "wait_for_model",
];
const TOP_LEVEL = ["inputs", "parameters", "stream", "options", "model", "id", "adapter_id"];

type Values = z.output<ReturnType<typeof parametersSchema>>;

const schemaFor = keptByLimits(parametersSchema);

/**
 * Reads a body. A field that is null counts as absent.
 * @throws GptError `unknown_field` or `invalid_field`, with the field
 */
export function readHuggingFace(
  body: Fields,
  limits: HuggingFaceLimits,
  place: HuggingFacePlace,
): HuggingFaceRequest {
  const { inputs, parameters = {}, stream = false } = withoutNull(body);
  const surplus = Object.keys(body).find((name) => !TOP_LEVEL.includes(name));
  if (surplus !== undefined) throw unknownField(surplus, TOP_LEVEL);
  if (typeof stream !== "boolean") {
    throw invalidField("stream", `stream must be true or false, got ${describeValue(stream)}`);
  }
  if (typeof parameters !== "object" || Array.isArray(parameters)) {
    throw invalidField("parameters", `parameters must be an object, got ${describeValue(parameters)}`);
  }
  const schema = schemaFor(limits);
  const given = known(withoutNull(parameters as Fields), Object.keys(schema.shape));
  const values = parseFields(given, schema);
  const isStreamed = place.isStreamed ?? stream;
  const texts = inputsOf(inputs);
  const isSampled = isSampling(values);
  const isSingle = isStreamed || place.isSingle === true;
  checkTogether(values, { isStreamed, isSingle, isSampled, isList: Array.isArray(inputs) });
  const seed = seedOf(values.seed, limits.randomSeed);
  const tellsDetails = values.details || values.decoder_input_details || values.top_n_tokens !== undefined;
  const needsLogprobs = tellsDetails || isStreamed;
  return {
    requests: texts.map((input, j) => ({
      input,
      ...coreRequest(values, values.return_full_text ?? place.echoes),
      ...(needsLogprobs && { tellsLogprobs: true }),
      decoding: decodingOf(values, seedOfPrompt(seed, j), isSampled, needsLogprobs),
    })),
    seed,
    isList: Array.isArray(inputs),
    isStreamed,
    isSampled,
    tellsDetails,
    tellsPrompt: values.decoder_input_details,
    numTop: values.top_n_tokens,
  };
}

function known(given: Fields, names: readonly string[]): Fields {
  const entries = Object.entries(given).filter(([name]) => !WITHOUT_EFFECT.includes(name));
  for (const [name, value] of entries) {
    if (names.includes(name)) continue;
    if (!MUST_BE_OFF.includes(name)) throw unknownField(name, names, "parameters.");
    if (value !== false) {
      throw invalidField(
        `parameters.${name}`,
        `parameters.${name} is not offered, got ${describeValue(value)}`,
      );
    }
  }
  return Object.fromEntries(entries.filter(([name]) => names.includes(name)));
}

function inputsOf(inputs: unknown): readonly string[] {
  if (inputs === undefined) throw missingField("inputs");
  const list = Array.isArray(inputs) ? (inputs as unknown[]) : [inputs];
  const wrong = list.find((one) => typeof one !== "string");
  if (list.length >= 1 && list.length <= prompts.max && wrong === undefined) return list as string[];
  const got = wrong === undefined ? `${list.length} inputs` : describeValue(wrong);
  throw invalidField(
    "inputs",
    `inputs must be a string or a list of 1 to ${prompts.max} strings, got ${got}`,
  );
}

/** Without `do_sample`, sending a filter means sampling. TGI does the same; transformers would ignore the filter. */
function isSampling({
  do_sample: asked,
  temperature,
  top_k: k,
  top_p: p,
  min_p: minP,
  ...others
}: Values): boolean {
  if (temperature === 0 || others.num_beams > 1) return false;
  return asked ?? (temperature !== undefined || k !== undefined || p !== undefined || minP > 0);
}

interface Circumstances {
  readonly isStreamed: boolean;
  readonly isSingle: boolean;
  readonly isSampled: boolean;
  readonly isList: boolean;
}

function checkTogether(values: Values, { isStreamed, isSingle, isSampled, isList }: Circumstances): void {
  const {
    max_length,
    max_new_tokens,
    num_beams: numBeams,
    num_return_sequences: numTexts,
    best_of: bestOf,
  } = values;
  const refuse = (name: string, problem: string): GptError =>
    invalidField(`parameters.${name}`, `parameters.${name} ${problem}`);
  if (max_length !== undefined && max_new_tokens !== undefined) {
    throw refuse("max_length", "and parameters.max_new_tokens exclude each other; send one of them");
  }
  if (numBeams > 1 && values.do_sample)
    throw refuse("do_sample", "must be false beside num_beams: beam search does not sample");
  if (numBeams > 1 && numTexts > numBeams) {
    throw refuse("num_return_sequences", `must be at most num_beams (${numBeams}), got ${numTexts}`);
  }
  if (bestOf > 1 && !isSampled) throw refuse("best_of", "needs sampled texts: send do_sample");
  if (bestOf > 1 && numTexts > 1) throw refuse("best_of", "and num_return_sequences exclude each other");
  if (!isSingle) return;
  const why = isStreamed ? "when the answer is streamed" : "on this route";
  if (isList) throw invalidField("inputs", `inputs must be a string ${why}`);
  if (numTexts > 1) throw refuse("num_return_sequences", `must be 1 ${why}, got ${numTexts}`);
  if (!isStreamed) return;
  if (bestOf > 1) throw refuse("best_of", `must be 1 ${why}, got ${bestOf}`);
  if (values.decoder_input_details) throw refuse("decoder_input_details", `must be false ${why}`);
}

function coreRequest(values: Values, echo: boolean): Omit<GenerationParams, "decoding"> {
  const { max_new_tokens: maxNewTokens, max_length: maxLength, truncate, best_of: bestOf } = values;
  const stops = [values.stop, values.stop_sequence, values.stop_sequences, values.stop_strings].flatMap(
    (own) => own ?? [],
  );
  if (stops.length > stopStrings.max) {
    throw invalidField(
      "parameters.stop",
      `parameters.stop must have at most ${stopStrings.max} strings, got ${stops.length}`,
    );
  }
  return {
    ...(maxLength === undefined && { maxNewTokens: maxNewTokens ?? DEFAULT_NEW_TOKENS }),
    ...(maxLength === undefined && maxNewTokens === undefined && { fitsContext: true }),
    ...(stops.length > 0 && { stopStrings: stops }),
    includeStop: true,
    ...(!echo && { echo: false }),
    ...(truncate !== undefined && { truncatePrompt: truncate }),
    ...(values.min_length > 0 && { minLength: values.min_length }),
    ...(bestOf > 1 && { keepBest: 1 }),
  };
}

function decodingOf(
  values: Values,
  seed: number,
  isSampled: boolean,
  needsLogprobs: boolean,
): DecodingParams {
  const { num_beams: numBeams, length_penalty: lengthPenalty, early_stopping: earlyStopping } = values;
  const { best_of: bestOf, num_return_sequences: numTexts, min_new_tokens: minNewTokens } = values;
  const drawn: Search = {
    kind: "sample",
    temperature: values.temperature ?? 1,
    topK: values.top_k ?? 50,
    topP: values.top_p ?? 1,
    ...(values.min_p > 0 && { minP: values.min_p }),
  };
  const beam: Search = { kind: "beam", numBeams, lengthPenalty, earlyStopping };
  const ends = values.eos_token_id;
  const endings = {
    ignore_eos: ends !== undefined,
    stop_token_ids: typeof ends === "number" ? [ends] : ends,
  };
  const extras = { ...values, presence_penalty: 0, stop: undefined, ...endings };
  return {
    maxLength: values.max_length ?? 0,
    numReturnSequences: bestOf > 1 ? bestOf : numTexts,
    seed,
    noRepeatNgramSize: values.no_repeat_ngram_size,
    search: isSampled ? drawn : numBeams > 1 ? beam : { kind: "greedy" },
    ...searchExtras(extras, minNewTokens),
    ...(needsLogprobs ? { logprobs: values.top_n_tokens ?? 0 } : bestOf > 1 && { logprobs: 0 }),
    ...(values.decoder_input_details && { promptLogprobs: true }),
  };
}
