// What happens to a row of logits before a token is taken, in the order of transformers: n-gram ban, temperature,
// top-k, top-p. Each works in place on one row; a token that is out has −∞.
import type { LogitsRow } from "../kernels/logits-row.ts";

/** `tokenIds` are all tokens of the sequence so far, the prompt included. */
export type LogitsProcessor = (logits: LogitsRow, tokenIds: readonly number[]) => void;

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
