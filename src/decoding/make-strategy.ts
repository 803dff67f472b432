// From the parameters of a request to the strategy that decodes it, with its logits processors in transformers' order.
import { BeamSearch } from "./beam-search.ts";
import type { DecodingParams } from "./decoding-params.ts";
import { GreedySearch } from "./greedy.ts";
import { type LogitsProcessor, noRepeatNgram, temperature, topK, topP } from "./logits-processors.ts";
import { MultinomialSampling } from "./sampling.ts";
import type { DecodingStrategy, SearchContext } from "./strategy.ts";

/** Turns parameters into parts, once; nothing in the loop looks at the mode. */
export function makeStrategy(params: DecodingParams, context: SearchContext): DecodingStrategy {
  const { search, noRepeatNgramSize } = params;
  const processors: LogitsProcessor[] = noRepeatNgramSize > 0 ? [noRepeatNgram(noRepeatNgramSize)] : [];
  if (search.kind === "greedy" || (search.kind === "beam" && search.numBeams === 1)) {
    return new GreedySearch(params, processors, context);
  }
  if (search.kind === "beam") return new BeamSearch({ ...params, search }, processors, context);
  if (search.temperature !== 1) processors.push(temperature(search.temperature));
  if (search.topK > 0) processors.push(topK(search.topK));
  if (search.topP < 1) processors.push(topP(search.topP));
  return new MultinomialSampling(params, processors, context);
}
