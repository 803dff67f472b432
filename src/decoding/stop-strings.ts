// Where a text ends because a stop string came. The search is on the bytes of the generated tokens, so that a stop string is
// found at the token that completes it, also when it begins in the middle of a token or of a character. The prompt is never
// searched. UTF-8 is self-synchronising: a stop string that is valid text matches exactly where a reader sees it.
import type { TokenBytes } from "./decoding-params.ts";

export interface StopMatch {
  /** Which of the stop strings. */
  readonly index: number;
  /** Bytes of the generated tokens that stand before the match. */
  readonly keptBytes: number;
}

/**
 * The stop string that the last token completes; undefined when there is none. Of several, the one that ends first, and
 * among those the longest.
 *
 * A pure function of the tokens: a sequence carries no state of it, so beams can fork freely. It assumes that no earlier
 * token completed a stop string, and looks back no further than the longest one reaches.
 */
export function stopMatch(
  stops: readonly Uint8Array[],
  tokens: TokenBytes,
  tokenIds: readonly number[],
  promptLength: number,
): StopMatch | undefined {
  const longest = stops.reduce((length, stop) => Math.max(length, stop.length), 0);
  const newBytes = tokenIds.length > promptLength ? byteLength(tokens, tokenIds.at(-1) as number) : 0;
  if (newBytes === 0 || longest === 0) return undefined;
  const tail = lastBytes(tokens, tokenIds.slice(promptLength), longest - 1 + newBytes);
  for (let end = tail.length - newBytes + 1; end <= tail.length; end++) {
    const index = longestEndingAt(stops, tail, end);
    if (index === undefined) continue;
    const total = tokenIds.slice(promptLength).reduce((sum, id) => sum + byteLength(tokens, id), 0);
    return { index, keptBytes: total - tail.length + end - (stops[index] as Uint8Array).length };
  }
  return undefined;
}

/** The last `count` bytes of a text, or all when it has fewer. */
function lastBytes(tokens: TokenBytes, tokenIds: readonly number[], count: number): Uint8Array {
  const tail = new Uint8Array(count);
  let begin = count;
  for (let i = tokenIds.length - 1; i >= 0 && begin > 0; i--) {
    const id = tokenIds[i] as number;
    const [from, to] = [tokens.offsets[id] ?? 0, tokens.offsets[id + 1] ?? 0];
    const part = tokens.bytes.subarray(Math.max(from, to - begin), to);
    begin -= part.length;
    tail.set(part, begin);
  }
  return tail.subarray(begin);
}

function byteLength({ offsets }: TokenBytes, id: number): number {
  return (offsets[id + 1] ?? 0) - (offsets[id] ?? 0);
}

function longestEndingAt(stops: readonly Uint8Array[], text: Uint8Array, end: number): number | undefined {
  let found: number | undefined;
  for (const [index, stop] of stops.entries()) {
    const isLonger = found === undefined || stop.length > (stops[found] as Uint8Array).length;
    if (isLonger && endsWith(text, end, stop)) found = index;
  }
  return found;
}

function endsWith(text: Uint8Array, end: number, stop: Uint8Array): boolean {
  const begin = end - stop.length;
  if (begin < 0) return false;
  for (let i = 0; i < stop.length; i++) if (text[begin + i] !== stop[i]) return false;
  return true;
}

/**
 * How many bytes at the end of `text` begin a stop string that may still be completed. A stream holds these back; all
 * before them can be sent.
 */
export function heldBack(stops: readonly Uint8Array[], text: Uint8Array): number {
  const longest = stops.reduce((length, stop) => Math.max(length, stop.length), 0);
  for (let count = Math.min(longest - 1, text.length); count > 0; count--) {
    const isBeginning = stops.some(
      (stop) => stop.length > count && endsWith(text, text.length, stop.subarray(0, count)),
    );
    if (isBeginning) return count;
  }
  return 0;
}
