// What happens to a row of logits before a token is taken, in the order of transformers: bias, repetition penalty,
// frequency and presence penalty, n-gram ban, bans before the minimum length, temperature, top-k, top-p, min-p. Each works in
// place on one row, in f32; a token that is out has −∞. `make-strategy.ts` chooses and orders them.
import type { LogitsRow } from "../kernels/logits-row.ts";

/** `tokenIds` are all tokens of the sequence so far, the prompt included. */
export type LogitsProcessor = (logits: LogitsRow, tokenIds: readonly number[]) => void;

const f = Math.fround;

/** Adds a number to the logits of some tokens. Reference: transformers' SequenceBiasLogitsProcessor, for single tokens. */
export function logitBias(bias: ReadonlyMap<number, number>): LogitsProcessor {
  return ({ values }) => {
    for (const [id, amount] of bias) values[id] = (values[id] as number) + f(amount);
  };
}

/**
 * Makes every token less likely, for a penalty above 1, that the sequence already holds, prompt included: a negative logit is
 * multiplied, another one divided. Reference: transformers' RepetitionPenaltyLogitsProcessor.
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
 * the prompt do not count. This is OpenAI's formula; transformers has none.
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
 * Bans the tokens that would end the text while fewer than `count` are generated. Reference: transformers'
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
 * Bans every token that would complete an n-gram that the sequence, prompt included, already holds.
 * With n = 1 every token seen so far is banned. Reference: transformers' NoRepeatNGramLogitsProcessor.
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
 * Beyond these the quotients or the temperature itself could leave f32, and nothing changes any more: below, different
 * logits are too far apart, above, too near.
 */
const TEMPERATURE_MIN = 1e-30;
const TEMPERATURE_MAX = 1e30;

/** Divides by a temperature above 0; next to 0 only the largest logit is left with any probability. */
export function temperature(value: number): LogitsProcessor {
  const divisor = Math.min(Math.max(value, TEMPERATURE_MIN), TEMPERATURE_MAX);
  return (logits) => logits.divide(divisor);
}

/** Keeps the k largest logits, and all ties at the k-th place. */
export function topK(k: number): LogitsProcessor {
  return (logits) => logits.keepTopK(k);
}

/** Keeps the most likely tokens until their probabilities reach p. */
export function topP(p: number): LogitsProcessor {
  return (logits) => logits.keepTopP(p);
}

/** Keeps the tokens that are at least `m` times as likely as the most likely one. */
export function minP(m: number): LogitsProcessor {
  return (logits) => logits.keepMinP(m);
}

/** What a sampled token is drawn from; 1, 0, 1 and 0 or nothing have no effect. */
export interface SamplingFilters {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP?: number;
}

/** Those that have an effect, in their order, each with the name of its request parameter. */
export function samplingFilters(filters: SamplingFilters): readonly (readonly [string, LogitsProcessor])[] {
  const chain: (readonly [string, LogitsProcessor])[] = [];
  if (filters.temperature !== 1) chain.push(["temperature", temperature(filters.temperature)]);
  if (filters.topK > 0) chain.push(["top_k", topK(filters.topK)]);
  if (filters.topP < 1) chain.push(["top_p", topP(filters.topP)]);
  if (filters.minP) chain.push(["min_p", minP(filters.minP)]);
  return chain;
}
