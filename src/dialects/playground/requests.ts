// The bodies of the playground's routes: those of the server's own dialect, with token ids in place of the text where the page
// goes on from a token, and traces asked for.
import type { Fields } from "../../request/body.ts";
import { invalidField, keptByLimits } from "../../request/fields.ts";
import type { GenerationParams } from "../../request/generation.ts";
import { type ParseOptions, parseGenerationParams } from "../../request/params.ts";
import { describeValue } from "../../wording.ts";

/** So many of the most likely tokens are told beside each. */
export const NUM_ALTERNATIVES = 10;

export type PlaygroundLimits = Omit<ParseOptions, "allowTokenIds">;

/** @throws GptError `invalid_field` for a name that is no text */
export function endpointOf({ endpoint }: Fields): string | undefined {
  if (endpoint === undefined || typeof endpoint === "string") return endpoint;
  throw invalidField("endpoint", `endpoint must be a string, got ${describeValue(endpoint)}`);
}

/** A generation with its trace, and what the contract's own route would have made of the body. */
export interface TracedRequest {
  readonly params: GenerationParams;
  readonly plain: GenerationParams;
}

/** @throws GptError as for a body of the server's own dialect */
export function readGenerate(fields: Fields, limits: PlaygroundLimits): TracedRequest {
  const plain = parsed(fields, limits);
  const { promptLogprobs: _, ...decoding } = plain.decoding;
  const logprobs = Math.max(NUM_ALTERNATIVES, decoding.logprobs ?? 0);
  return {
    plain,
    params: { ...plain, tellsLogprobs: true, decoding: { ...decoding, logprobs, trace: true } },
  };
}

/** The logits behind a prompt; the parameters that shape them count. */
export function readNext(fields: Fields, limits: PlaygroundLimits): GenerationParams {
  return promptOnly(parsed(fields, limits), { tellsNext: true });
}

/** The log-probabilities of a text's own tokens. */
export function readScore(fields: Fields, limits: PlaygroundLimits): GenerationParams {
  return promptOnly(parsed(fields, limits), {
    logprobs: NUM_ALTERNATIVES,
    promptLogprobs: true,
    trace: true,
  });
}

/** `endpoint` is read already. */
function parsed({ endpoint: _, ...fields }: Fields, limits: PlaygroundLimits): GenerationParams {
  return parseGenerationParams(fields, optionsOf(limits));
}

/** One object for each object of limits, since the schema is kept by it. */
const optionsOf = keptByLimits(
  (limits: PlaygroundLimits): ParseOptions => ({ ...limits, allowTokenIds: true }),
);

/** Greedy, since nothing is searched for: the mode's own processors would only change what is told. */
function promptOnly(
  params: GenerationParams,
  asked: Partial<GenerationParams["decoding"]>,
): GenerationParams {
  const { input, promptTokenIds, truncatePrompt, decoding } = params;
  const { logprobs: _, promptLogprobs: __, ...rest } = decoding;
  return {
    ...(promptTokenIds ? { promptTokenIds } : { input: input ?? "" }),
    ...(truncatePrompt !== undefined && { truncatePrompt }),
    maxNewTokens: 0,
    decoding: { ...rest, numReturnSequences: 1, search: { kind: "greedy" }, ...asked },
  };
}
