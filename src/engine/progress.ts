// What the caller of a request learns from a pass before the request is done: settled tokens, and how likely the tokens of its
// prompt were.
import type { DecodingStrategy, SettledTokens } from "../decoding/strategy.ts";
import { logprobsOf } from "../decoding/token-logprobs.ts";
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { Progress } from "./pass-result.ts";
import { type Sequence, type SequenceGroup, scoreOptions } from "./sequence.ts";

/** The tokens that are settled and were not reported yet; they count as reported from now on. */
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

/** The steps of a beam search that were not reported yet, where they are asked for. */
export function takeSteps(strategy: DecodingStrategy): Pick<Progress, "steps"> {
  const steps = strategy.takeTrace?.() ?? [];
  return steps.length > 0 ? { steps } : {};
}

/**
 * Takes from the rows of a prompt's chunk, which ends at the last token computed, how likely each next token was. False when
 * the model gave what are no numbers.
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
    // A logit of −∞ is a number like any other.
    if (Number.isNaN(own.logprob)) return false;
    promptLogprobs.push(own);
  }
  return true;
}
