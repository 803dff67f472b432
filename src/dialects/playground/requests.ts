// The bodies of the playground's routes. They are those of the server's own dialect with two differences: token ids may stand
// in place of the text, so that the page can continue from any token, and traces are switched on.
import type { Fields } from "../../request/body.ts";
import { invalidField, keptByLimits } from "../../request/fields.ts";
import type { GenerationParams } from "../../request/generation.ts";
import { type ParseOptions, parseGenerationParams } from "../../request/params.ts";
import { describeValue } from "../../wording.ts";

/** How many of the most likely tokens are sent with each token. */
export const NUM_ALTERNATIVES = 10;

export type PlaygroundLimits = Omit<ParseOptions, "allowTokenIds">;

/** @throws GptError `invalid_field` for a name that is not a string */
export function endpointOf({ endpoint }: Fields): string | undefined {
  if (endpoint === undefined || typeof endpoint === "string") return endpoint;
  throw invalidField("endpoint", `endpoint must be a string, got ${describeValue(endpoint)}`);
}

/** A generation with its trace, and the request that the server's own route would have made of the body. */
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

/** A request for the logits of the token after a prompt. Parameters that change logits apply. */
export function readNext(fields: Fields, limits: PlaygroundLimits): GenerationParams {
  return promptOnly(parsed(fields, limits), { tellsNext: true });
}

/** A request for the log-probabilities of a text's own tokens. */
export function readScore(fields: Fields, limits: PlaygroundLimits): GenerationParams {
  return promptOnly(parsed(fields, limits), {
    logprobs: NUM_ALTERNATIVES,
    promptLogprobs: true,
    trace: true,
  });
}

/** `endpoint` is dropped: the caller has read it. */
function parsed({ endpoint: _, ...fields }: Fields, limits: PlaygroundLimits): GenerationParams {
  return parseGenerationParams(fields, optionsOf(limits));
}

/** Returns the same object for the same limits, because schemas are cached by the identity of that object. */
const optionsOf = keptByLimits(
  (limits: PlaygroundLimits): ParseOptions => ({ ...limits, allowTokenIds: true }),
);

/** No tokens are generated. The search is set to greedy, because the filters of a sampled search would change the logits. */
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
