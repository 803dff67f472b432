// Makes the strategy for a request's parameters, with its logits processors in the order of transformers.
import { BeamSearch } from "./beam-search.ts";
import type { DecodingParams } from "./decoding-params.ts";
import { Endings } from "./endings.ts";
import { GreedySearch } from "./greedy.ts";
import {
  logitBias,
  minNewTokens,
  noRepeatNgram,
  occurrencePenalty,
  repetitionPenalty,
  samplingFilters,
} from "./logits-processors.ts";
import { ProcessorChain } from "./processor-chain.ts";
import { PromptOnly } from "./prompt-only.ts";
import { MultinomialSampling } from "./sampling.ts";
import type { DecodingStrategy, SearchContext } from "./strategy.ts";

/** Called once for each request. Afterwards nothing in the decoding loop looks at the mode. */
export function makeStrategy(params: DecodingParams, context: SearchContext): DecodingStrategy {
  const { search } = params;
  const endings = new Endings(params, context);
  const processors = commonProcessors(params, endings);
  if (params.maxLength <= context.promptLength) return new PromptOnly(params, processors);
  if (search.kind === "greedy" || (search.kind === "beam" && search.numBeams === 1)) {
    return new GreedySearch(params, processors, endings);
  }
  if (search.kind === "beam") return new BeamSearch({ ...params, search }, processors, endings);
  for (const [parameter, process] of samplingFilters(search)) processors.add(parameter, process);
  return new MultinomialSampling(params, processors, endings);
}

/** The processors of every mode. transformers has no frequency and presence penalty; these come after repetition. */
function commonProcessors(
  params: DecodingParams,
  { promptLength, tokenIds: endIds }: Endings,
): ProcessorChain {
  const { noRepeatNgramSize, penalties = {}, ending = {} } = params;
  const { logitBias: bias, repetition = 1, frequency = 0, presence = 0 } = penalties;
  const processors = new ProcessorChain();
  if (bias && bias.size > 0) processors.add("logit_bias", logitBias(bias));
  if (repetition !== 1) processors.add("repetition_penalty", repetitionPenalty(repetition));
  if (frequency !== 0 || presence !== 0) {
    const parameter = frequency === 0 ? "presence_penalty" : "frequency_penalty";
    processors.add(parameter, occurrencePenalty(frequency, presence, promptLength));
  }
  if (noRepeatNgramSize > 0) processors.add("no_repeat_ngram_size", noRepeatNgram(noRepeatNgramSize));
  if (ending.minNewTokens) {
    processors.add("min_new_tokens", minNewTokens(ending.minNewTokens, promptLength, endIds));
  }
  return processors;
}
