// What a pass reports to the caller of a request that is not done yet: settled tokens, the steps of a beam search, and the
// log-probabilities of the prompt.
import type { DecodingStrategy, SettledTokens } from "../decoding/strategy.ts";
import { logprobsOf } from "../decoding/token-logprobs.ts";
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { Progress } from "./pass-result.ts";
import { type Sequence, type SequenceGroup, scoreOptions } from "./sequence.ts";

/** Returns the settled tokens that have not been reported, and marks them as reported. */
export function takeSettled({ request, strategy, live, numReported }: SequenceGroup): Progress {
  const { length: promptLength } = request.promptTokenIds;
  const sequences = strategy.settled(live).map(({ tokenIds, logprobs }, index): SettledTokens => {
    const reported = numReported[index] as number;
    numReported[index] = tokenIds.length;
    const own = logprobs?.slice(reported - promptLength);
    return { tokenIds: tokenIds.slice(reported), ...(own && { logprobs: own }) };
  });
  return { id: request.id, sequences, ...takeSteps(strategy) };
}

/** Returns the steps of a beam search that have not been reported, if a trace is asked for. */
export function takeSteps(strategy: DecodingStrategy): Pick<Progress, "steps"> {
  const steps = strategy.takeTrace?.() ?? [];
  return steps.length > 0 ? { steps } : {};
}

/**
 * Reads the log-probabilities of a prompt's tokens from the rows of a chunk. Each row gives that of the next token. The chunk
 * ends at the last computed token. False: the model's logits are not numbers.
 */
export function takePromptLogprobs(group: SequenceGroup, rows: readonly LogitsRow[]): boolean {
  const { request, live, promptLogprobs } = group;
  const { promptTokenIds } = request;
  const options = scoreOptions(group);
  const begin = (live[0] as Sequence).numComputed - rows.length;
  for (const [i, row] of rows.entries()) {
    const next = promptTokenIds[begin + i + 1];
    if (next === undefined) continue;
    const own = logprobsOf(row, next, options);
    // −∞ is allowed: it only means that the token is impossible.
    if (Number.isNaN(own.logprob)) return false;
    promptLogprobs.push(own);
  }
  return true;
}
