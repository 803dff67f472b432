// What happens to a row of logits before a token is taken, in the order of transformers: n-gram ban, temperature,
// top-k, top-p. Each works in place on one row; a token that is out has −∞.
import { exp, kthLargest, largestOf } from "./numeric.ts";

/** `tokenIds` are all tokens of the sequence so far, the prompt included. */
export type LogitsProcessor = (logits: Float32Array, tokenIds: readonly number[]) => void;

/**
 * Bans every token that would complete an n-gram that the sequence, prompt included, already holds.
 * With n = 1 every token seen so far is banned. Reference: transformers' NoRepeatNGramLogitsProcessor.
 */
export function noRepeatNgram(n: number): LogitsProcessor {
  return (logits, ids) => {
    const start = ids.length + 1 - n;
    for (let i = 0; i < start; i++) {
      let same = true;
      for (let j = 0; j < n - 1 && same; j++) same = ids[i + j] === ids[start + j];
      if (same) logits[ids[i + n - 1] as number] = Number.NEGATIVE_INFINITY;
    }
  };
}

/** Below this the quotients could overflow f32, and two different logits are already too far apart to matter. */
const TEMPERATURE_MIN = 1e-30;

/** Divides by a temperature above 0; next to 0 only the largest logit is left with any probability. */
export function temperature(value: number): LogitsProcessor {
  const divisor = Math.max(value, TEMPERATURE_MIN);
  return (logits) => {
    for (let i = 0; i < logits.length; i++) logits[i] = (logits[i] as number) / divisor;
  };
}

/** Keeps the k largest logits, and all ties at the k-th place. */
export function topK(k: number): LogitsProcessor {
  return (logits) => {
    if (k >= logits.length) return;
    const threshold = kthLargest(logits, k);
    for (let i = 0; i < logits.length; i++) {
      if ((logits[i] as number) < threshold) logits[i] = Number.NEGATIVE_INFINITY;
    }
  };
}

/**
 * Keeps a token if and only if the probability ranked above it is less than p; at least one stays. Tokens of equal
 * probability are ranked by id, the lower one first.
 */
export function topP(p: number): LogitsProcessor {
  return (logits) => {
    const largest = largestOf(logits);
    const sorted = logits
      .filter((z) => z > Number.NEGATIVE_INFINITY)
      .sort()
      .reverse();
    let total = 0;
    for (const z of sorted) total += exp(z - largest);
    let above = 0;
    let numKept = 0;
    for (; numKept < sorted.length && (numKept === 0 || above < p * total); numKept++) {
      above += exp((sorted[numKept] as number) - largest);
    }
    if (numKept > 0) keepLargest(logits, sorted[numKept - 1] as number, numKept);
  };
}

/** Keeps `count` tokens: those above `threshold`, and of those equal to it as many as there is room for, by id. */
function keepLargest(logits: Float32Array, threshold: number, count: number): void {
  let room = count;
  for (const z of logits) if (z > threshold) room -= 1;
  for (let i = 0; i < logits.length; i++) {
    const z = logits[i] as number;
    if (z > threshold) continue;
    if (z === threshold && room > 0) room -= 1;
    else logits[i] = Number.NEGATIVE_INFINITY;
  }
}
