// What is done to a row of logits before a token is chosen, in the order of transformers: bias, repetition penalty, frequency
// and presence penalty, n-gram ban, ban on endings before the minimum length, temperature, top-k, top-p, min-p. Each processor
// works in place on one row, in f32. The logit −∞ removes a token. `make-strategy.ts` chooses and orders the processors.
import type { LogitsRow } from "../kernels/logits-row.ts";

/** `tokenIds`: all tokens of the sequence so far, including the prompt. */
export type LogitsProcessor = (logits: LogitsRow, tokenIds: readonly number[]) => void;

const f = Math.fround;

/** Adds a number to the logits of some tokens. Reference: transformers' SequenceBiasLogitsProcessor, for single tokens. */
export function logitBias(bias: ReadonlyMap<number, number>): LogitsProcessor {
  return ({ values }) => {
    for (const [id, amount] of bias) values[id] = (values[id] as number) + f(amount);
  };
}

/**
 * With a penalty above 1, makes every token less likely that the sequence, including the prompt, already holds. A negative
 * logit is multiplied by the penalty, any other is divided. Reference: transformers' RepetitionPenaltyLogitsProcessor.
 */
export function repetitionPenalty(penalty: number): LogitsProcessor {
  const p = f(penalty);
  return ({ values }, tokenIds) => {
    for (const id of new Set(tokenIds)) {
      const z = values[id] as number;
      values[id] = z < 0 ? z * p : z / p;
    }
  };
}

/**
 * Subtracts `frequency` for each time that a token was generated, and `presence` once if it was generated at all. Tokens of
 * the prompt do not count. The formula is OpenAI's; transformers has no such processor.
 */
export function occurrencePenalty(
  frequency: number,
  presence: number,
  promptLength: number,
): LogitsProcessor {
  return ({ values }, tokenIds) => {
    const counts = new Map<number, number>();
    for (const id of tokenIds.slice(promptLength)) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const [id, count] of counts) {
      values[id] = (values[id] as number) - f(f(count * f(frequency)) + f(presence));
    }
  };
}

/**
 * Bans the tokens that end a text as long as fewer than `count` tokens have been generated. Reference: transformers'
 * MinNewTokensLengthLogitsProcessor.
 */
export function minNewTokens(count: number, promptLength: number, endIds: Iterable<number>): LogitsProcessor {
  const banned = [...endIds];
  return ({ values }, tokenIds) => {
    if (tokenIds.length - promptLength >= count) return;
    for (const id of banned) if (id < values.length) values[id] = Number.NEGATIVE_INFINITY;
  };
}

/**
 * Bans every token that would complete an n-gram which the sequence, including the prompt, already holds. With n = 1 every
 * token seen so far is banned. Reference: transformers' NoRepeatNGramLogitsProcessor.
 */
export function noRepeatNgram(n: number): LogitsProcessor {
  return ({ values }, ids) => {
    const start = ids.length + 1 - n;
    for (let i = 0; i < start; i++) {
      let same = true;
      for (let j = 0; j < n - 1 && same; j++) same = ids[i + j] === ids[start + j];
      if (same) values[ids[i + n - 1] as number] = Number.NEGATIVE_INFINITY;
    }
  };
}

/**
 * Outside these bounds a quotient or the temperature itself could overflow f32. Clamping changes nothing: below the lower
 * bound only the largest logit keeps any probability, and above the upper bound all tokens are equally likely.
 */
const TEMPERATURE_MIN = 1e-30;
const TEMPERATURE_MAX = 1e30;

/** Divides the logits by a temperature above 0. */
export function temperature(value: number): LogitsProcessor {
  const divisor = Math.min(Math.max(value, TEMPERATURE_MIN), TEMPERATURE_MAX);
  return (logits) => logits.divide(divisor);
}

/** Keeps the k largest logits, and all that equal the k-th. */
export function topK(k: number): LogitsProcessor {
  return (logits) => logits.keepTopK(k);
}

/** Keeps the most likely tokens until their probabilities sum to p. */
export function topP(p: number): LogitsProcessor {
  return (logits) => logits.keepTopP(p);
}

/** Keeps the tokens that are at least `m` times as likely as the most likely one. */
export function minP(m: number): LogitsProcessor {
  return (logits) => logits.keepMinP(m);
}

/** The filters of sampling. These values have no effect: temperature 1, topK 0, topP 1, minP 0 or absent. */
export interface SamplingFilters {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP?: number;
}

/** The filters that have an effect, in their order, each with the name of its request parameter. */
export function samplingFilters(filters: SamplingFilters): readonly (readonly [string, LogitsProcessor])[] {
  const chain: (readonly [string, LogitsProcessor])[] = [];
  if (filters.temperature !== 1) chain.push(["temperature", temperature(filters.temperature)]);
  if (filters.topK > 0) chain.push(["top_k", topK(filters.topK)]);
  if (filters.topP < 1) chain.push(["top_p", topP(filters.topP)]);
  if (filters.minP) chain.push(["min_p", minP(filters.minP)]);
  return chain;
}
