// Every parameter of a request, in one schema: type, range, default and meaning; and the table of which mode reads
// which. Makes `GenerationParams` of a JSON body. The prompt's length is compared with the limits by the service,
// which can count tokens.
import { z } from "zod";
import type { Search } from "../decoding/decoding-params.ts";
import { GptError } from "../errors.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { describeValue, expectation, fieldsOf, nearest, quote } from "../wording.ts";
import type { GenerationParams } from "./generation.ts";

/** The parameters that shape a search, and the modes that read them. */
export const MODES = {
  "sample-top-p": { reads: ["top_p", "top_k"], help: "Draws from the most likely tokens that hold top_p." },
  "sample-top-k": { reads: ["top_k"], help: "Draws from the top_k most likely tokens." },
  sample: { reads: ["top_p", "top_k", "temperature"], help: "The general form of the two above." },
  beam: { reads: ["num_beams", "no_repeat_ngram_size"], help: "Beam search for the most likely texts." },
  greedy: { reads: [], help: "Takes the most likely token at every step; all sequences are equal." },
} as const satisfies Record<string, { reads: readonly SearchParameter[]; help: string }>;

export type Mode = keyof typeof MODES;
type SearchParameter = "top_p" | "top_k" | "temperature" | "num_beams" | "no_repeat_ngram_size";

const SEED_MAX = 2 ** 32 - 1;
const DEFAULT_MAX_LENGTH = 100;

/** The filters of the sampling modes; their ranges depend on no model and no setting. */
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

/** What every mode can use, likewise. */
const COMMON = {
  no_repeat_ngram_size: z
    .int()
    .min(0)
    .default(2)
    .describe("No run of this many tokens occurs twice; 0 allows all. Outside beam mode only when sent."),
  seed: z
    .int()
    .min(-1)
    .max(SEED_MAX)
    .nullable()
    .default(null)
    .describe("The same seed gives the same texts; -1 or null takes a fresh random one."),
};

export interface ParameterLimits {
  /** n_positions of the model. */
  readonly contextLength: number;
  readonly maxNumReturnSequences?: number;
  readonly maxNumBeams?: number;
}

/** The schema of a request body, for a model and its limits; exportable as JSON Schema. */
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
      .describe("Largest number of tokens of a sequence, the input's tokens included."),
    max_new_tokens: z
      .int()
      .min(1)
      .max(contextLength)
      .optional()
      .describe("Extension: largest number of tokens after the input; replaces max_length."),
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
    ...COMMON,
  });
}

/** The extension for requests that are read from a file: token ids in place of the text. */
const promptTokenIds = z.array(z.int().min(0)).min(1);

export interface ParseOptions extends ParameterLimits {
  /** An integer from 0 to 2^32 − 1; called when the request names no seed. */
  readonly randomSeed: () => number;
  /** Accept `prompt_token_ids` in place of `input`. */
  readonly allowTokenIds?: boolean;
}

type Fields = Readonly<Record<string, unknown>>;
type RequestSchema = ReturnType<typeof requestSchema>;
type Parameters = z.output<RequestSchema>;

// Making a schema costs half a millisecond, so it is kept for as long as its limits are.
const schemas = new WeakMap<ParameterLimits, RequestSchema>();

function schemaFor(limits: ParameterLimits): RequestSchema {
  const schema = schemas.get(limits) ?? requestSchema(limits);
  schemas.set(limits, schema);
  return schema;
}

/**
 * Checks a request body, completes it with defaults and keeps what its mode reads. Callers that answer many requests
 * pass the same `options` object.
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

  const { max_new_tokens: maxNewTokens, mode, seed } = parameters;
  const bansNgrams = mode === "beam" || fields.no_repeat_ngram_size !== undefined;
  return {
    ...(prompt ? { promptTokenIds: prompt } : { input: parameters.input }),
    ...(maxNewTokens === undefined ? {} : { maxNewTokens }),
    decoding: {
      maxLength: parameters.max_length,
      numReturnSequences: parameters.num_return_sequences,
      seed: seed === null || seed === -1 ? options.randomSeed() : seed,
      noRepeatNgramSize: bansNgrams ? parameters.no_repeat_ngram_size : 0,
      search: searchOf(parameters),
    },
  };
}

/** What a filter is set to where the mode does not read it: no effect. */
const OFF = { top_p: 1, top_k: 0, temperature: 1 } as const;

function searchOf(parameters: Parameters): Search {
  const { mode } = parameters;
  if (mode === "greedy") return { kind: "greedy" };
  if (mode === "beam") {
    return { kind: "beam", numBeams: parameters.num_beams, lengthPenalty: 1, earlyStopping: false };
  }
  const reads: readonly SearchParameter[] = MODES[mode].reads;
  const value = (name: keyof typeof OFF): number => (reads.includes(name) ? parameters[name] : OFF[name]);
  return { kind: "sample", temperature: value("temperature"), topK: value("top_k"), topP: value("top_p") };
}

function requireObject(body: unknown): Fields {
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Fields;
  throw new GptError(
    "invalid_body",
    `The request must be a JSON object such as {"input": "Some text"}, got ${describeValue(body)}`,
  );
}

/** Own keys only, `__proto__` among them: none but the known names goes further. */
function refuseUnknown(fields: Fields, known: readonly string[]): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const meant = nearest(unknown, known);
  const hint = meant ? `did you mean ${quote(meant)}?` : `the known ones are ${known.join(", ")}`;
  throw new GptError("unknown_field", `The field ${quote(unknown)} is unknown; ${hint}`);
}

function parseFields(fields: Fields, schema: RequestSchema): Parameters {
  const result = schema.safeParse(fields);
  if (result.success) return result.data;
  const name = String(result.error.issues[0]?.path[0]);
  const value = fields[name];
  if (value === undefined) throw new GptError("invalid_field", `The required field ${name} is missing`);
  const { default: preset, ...field } = fieldsOf(schema)[name] ?? {};
  const hint = value === null && preset !== undefined ? "; leave the field out for its default" : "";
  throw new GptError(
    "invalid_field",
    `${name} must be ${expectation(field)}, got ${describeValue(value)}${hint}`,
  );
}

function parseTokenIds(value: unknown, rest: Fields): readonly number[] {
  if (rest.input !== undefined) {
    throw new GptError("invalid_field", "input and prompt_token_ids exclude each other; send one of them");
  }
  const result = promptTokenIds.safeParse(value);
  if (result.success) return result.data;
  const index = result.error.issues[0]?.path[0];
  const wrong =
    typeof index === "number" && Array.isArray(value)
      ? `${describeValue(value[index])} in it`
      : describeValue(value);
  throw new GptError(
    "invalid_field",
    `prompt_token_ids must be a list of one or more token ids, integers of at least 0, got ${wrong}`,
  );
}

/** The rules that no single field can express. */
function checkTogether(parameters: Parameters, fields: Fields): void {
  if (fields.max_length !== undefined && fields.max_new_tokens !== undefined) {
    throw new GptError("invalid_field", "max_length and max_new_tokens exclude each other; send one of them");
  }
  const { mode, num_beams: numBeams, num_return_sequences: numReturnSequences } = parameters;
  if (mode === "beam" && numReturnSequences > numBeams) {
    const isDefault = fields.num_return_sequences === undefined ? ", the default" : "";
    throw new GptError(
      "invalid_field",
      `num_return_sequences must be at most num_beams (${numBeams}) in beam mode, got ${numReturnSequences}${isDefault}`,
    );
  }
}

/**
 * The JSON object in a request body of UTF-8 bytes.
 * @throws GptError `invalid_json` or `invalid_body`
 */
export function parseJsonBody(bytes: Uint8Array): Fields {
  if (bytes.length === 0) {
    throw new GptError(
      "invalid_json",
      'The request body is empty; send a JSON object such as {"input": "Some text"}',
    );
  }
  return requireObject(parseJson(bytes));
}

/** Of one body; a request has a dozen. */
const VALUES_MAX = 1000;

/**
 * Refuses a body with far more values than any request has before it is parsed: megabytes of brackets or short fields
 * take a second to parse, in which nothing else is answered. Text costs little, however long it is.
 * @throws GptError `invalid_body`
 */
export function refuseManyValues(bytes: Uint8Array): void {
  let isText = false;
  let count = 0;
  for (let i = 0; i < bytes.length && count <= VALUES_MAX; i++) {
    const char = bytes[i];
    if (char === CHAR.quote) isText = !isText;
    else if (isText && char === CHAR.backslash) i++;
    else if (!isText && (char === CHAR.comma || char === CHAR.list || char === CHAR.object)) count++;
  }
  if (count <= VALUES_MAX) return;
  throw new GptError(
    "invalid_body",
    `The request body holds more than ${VALUES_MAX} values, and a request is one flat object`,
  );
}

const CHAR = { quote: 0x22, backslash: 0x5c, comma: 0x2c, list: 0x5b, object: 0x7b } as const;

// AWS CLI v2 takes --body for base64 unless told otherwise, and sends whatever that decodes to, correctly signed.
const BASE64_HINT =
  "AWS CLI v2 sends such bytes unless it is called with --cli-binary-format raw-in-base64-out";

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new GptError("invalid_json", `The request body is not UTF-8 text; ${BASE64_HINT}`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GptError(
      "invalid_json",
      `The request body is not JSON: ${(cause as Error).message}${hintFor(text)}`,
      {
        cause,
      },
    );
  }
}

function hintFor(text: string): string {
  if (isEncodedObject(text)) return "; it is base64: send the JSON object as it is";
  return /[^\P{Cc}\t\n\r]/u.test(text) ? `; ${BASE64_HINT}` : "";
}

/** Whether a text is a JSON object in base64, in either alphabet, folded or not. */
function isEncodedObject(text: string): boolean {
  const letters = text.replace(/\s+/g, "");
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(letters)) return false;
  try {
    return typeof JSON.parse(Buffer.from(letters, "base64").toString()) === "object";
  } catch {
    return false;
  }
}
