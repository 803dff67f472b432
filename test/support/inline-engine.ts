// Runs requests through the engine's core, in the calling thread.
import type { DecodingParams, Search } from "../../src/decoding/decoding-params.ts";
import type { Hypothesis } from "../../src/decoding/strategy.ts";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { FinishedRequest } from "../../src/engine/pass-result.ts";
import type { Backend } from "../../src/model/backend.ts";

/** Decoding parameters. Defaults: greedy search, one sequence, no n-gram ban. */
export function someDecoding(options: Partial<DecodingParams> & { maxLength: number }): DecodingParams {
  return { numReturnSequences: 1, seed: 1, noRepeatNgramSize: 0, search: { kind: "greedy" }, ...options };
}

export function beams(numBeams: number, options: Partial<Extract<Search, { kind: "beam" }>> = {}): Search {
  return { kind: "beam", numBeams, lengthPenalty: 1, earlyStopping: false, ...options };
}

interface Asked {
  readonly prompt: readonly number[];
  readonly decoding: DecodingParams;
}

/** Runs requests together. The answers are in the order of the requests. */
export function answerAll(
  backend: Backend,
  eosTokenIds: readonly number[],
  requests: readonly Asked[],
): FinishedRequest[] {
  const core = new EngineCore(backend, eosTokenIds);
  const answers: FinishedRequest[] = [];
  for (const [id, { prompt, decoding }] of requests.entries())
    core.add({ id, promptTokenIds: prompt, decoding, client: 0, streams: false });
  while (!core.isIdle) {
    for (const answer of core.step().finished) answers[answer.request.id] = answer;
  }
  return answers;
}

/** The same, with only the hypotheses of each answer. */
export function generateAll(...crowd: Parameters<typeof answerAll>): (readonly Hypothesis[])[] {
  return answerAll(...crowd).map(({ hypotheses }) => hypotheses);
}

/** Token ids of the hypotheses of one request. */
export function generateIds(
  backend: Backend,
  eosTokenIds: readonly number[],
  prompt: readonly number[],
  decoding: DecodingParams,
): (readonly number[])[] {
  const [hypotheses = []] = generateAll(backend, eosTokenIds, [{ prompt, decoding }]);
  return hypotheses.map((h) => h.tokenIds);
}
