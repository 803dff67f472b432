// The fields that all dialects share, with the same names, ranges and meaning: what changes the likelihood of tokens, and what
// ends a text. Each dialect adds its own fields to these.
import { z } from "zod";
import type { DecodingParams, Ending, Penalties } from "../decoding/decoding-params.ts";
import type { Fields } from "./body.ts";
import { invalidField } from "./fields.ts";
import { REQUEST_LIMITS } from "./request-limits.ts";

const { biases, stopStrings, stopStringBytes, stopTokens } = REQUEST_LIMITS;
const utf8 = new TextEncoder();
const stopString = z
  .string()
  .refine((text) => text !== "" && utf8.encode(text).length <= stopStringBytes.max);
const tokenIdKey = z.string().regex(/^(0|[1-9]\d{0,9})$/);

export const SEARCH_FIELDS = {
  min_p: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("Keeps the tokens that are at least this much as likely as the most likely one; 0 keeps all."),
  repetition_penalty: z
    .number()
    .gt(0)
    .default(1)
    .describe(
      "Above 1, tokens that the input or the text holds already become less likely; below 1, more likely.",
    ),
  frequency_penalty: z
    .number()
    .min(-2)
    .max(2)
    .default(0)
    .describe("Is subtracted from a new token's logit for each time it was generated."),
  presence_penalty: z
    .number()
    .min(-2)
    .max(2)
    .default(0)
    .describe("Is subtracted once from the logit of every token that was generated."),
  logit_bias: z
    .record(tokenIdKey, z.number().min(-100).max(100))
    .refine((bias) => Object.keys(bias).length <= biases.max)
    .optional()
    .meta({
      "x-expected": `an object of at most ${biases.max} token ids and numbers from -100 to 100, such as {"262": -5}`,
    })
    .describe("Is added to the logits of these tokens."),
  ignore_eos: z.boolean().default(false).describe("An end-of-text token does not end the text."),
  stop: z
    .union([stopString, z.array(stopString).max(stopStrings.max)])
    .optional()
    .meta({
      "x-expected": `a string of 1 to ${stopStringBytes.max} bytes in UTF-8, or a list of at most ${stopStrings.max} of them`,
    })
    .describe("Texts that end a sequence as soon as one of them is generated. The input is not searched."),
  stop_token_ids: z
    .array(z.int().min(0))
    .max(stopTokens.max)
    .optional()
    .meta({ "x-expected": `a list of at most ${stopTokens.max} token ids` })
    .describe("Tokens that end a sequence as an end-of-text token does."),
};

/** How a beam search ranks its texts. */
export const BEAM_FIELDS = {
  length_penalty: z
    .number()
    .default(1)
    .describe("The power of its length by which a text's score is divided; above 0 longer texts win."),
  early_stopping: z
    .boolean()
    .default(false)
    .describe("A beam search ends as soon as num_beams texts have ended."),
};

/** Their checked values. The minimum of new tokens is missing here: its name differs between dialects. */
export interface SearchValues {
  readonly repetition_penalty: number;
  readonly frequency_penalty: number;
  readonly presence_penalty: number;
  readonly logit_bias?: Readonly<Record<string, number>> | undefined;
  readonly ignore_eos: boolean;
  readonly stop?: string | readonly string[] | undefined;
  readonly stop_token_ids?: readonly number[] | undefined;
}

/** The decoding parameters for these fields. Fields without effect are left out. */
export function searchExtras(
  values: SearchValues,
  minNewTokens: number,
): Pick<DecodingParams, "penalties" | "ending"> {
  const { repetition_penalty: repetition, frequency_penalty: frequency, presence_penalty: presence } = values;
  const bias = Object.entries(values.logit_bias ?? {}).map(([id, amount]) => [Number(id), amount] as const);
  const penalties: Penalties = {
    ...(bias.length > 0 && { logitBias: new Map(bias) }),
    ...(repetition !== 1 && { repetition }),
    ...(frequency !== 0 && { frequency }),
    ...(presence !== 0 && { presence }),
  };
  const { ignore_eos: ignoreEos, stop_token_ids: stopTokenIds = [] } = values;
  const ending: Ending = {
    ...(minNewTokens > 0 && { minNewTokens }),
    ...(ignoreEos && { ignoreEos }),
    ...(stopTokenIds.length > 0 && { stopTokenIds }),
  };
  return {
    ...(Object.keys(penalties).length > 0 && { penalties }),
    ...(Object.keys(ending).length > 0 && { ending }),
  };
}

/** The stop strings as a list. */
export function stopStringsOf({ stop = [] }: SearchValues): readonly string[] {
  return typeof stop === "string" ? [stop] : stop;
}

/**
 * A special key such as `__proto__` is no token id either, and the schema does not see it.
 * @throws GptError `invalid_field`
 */
export function refuseStrangeBias({ logit_bias: bias }: Fields): void {
  if (typeof bias !== "object" || bias === null || !Object.hasOwn(bias, "__proto__")) return;
  throw invalidField("logit_bias", 'logit_bias must have token ids for names, got "__proto__"');
}
