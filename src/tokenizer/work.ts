// How long work goes on in one piece. Everything that walks over a text counts down what it has done and, when its share is
// used up, gives control back in the middle; whoever drives it lets others have their turn, fills the share up and goes
// on. Who must not or need not stop has an endless share. Nothing here waits: it is plain counting.

/** About what one UTF-16 unit of text costs in one step, some tens of nanoseconds, is one unit of work. */
export interface Work {
  /** Units left of this share; below 0 it is used up. */
  left: number;
}

export const endlessWork = (): Work => ({ left: Number.POSITIVE_INFINITY });

/** What takes its time: yields when its share of work is used up, and returns its result. */
export type Steps<T> = Generator<undefined, T>;

/** A text in pieces; undefined stands between them where the share of work is used up. */
export type Pieces = Generator<string | undefined, void>;

/** To the end at once. For an endless share. */
export function runToEnd<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as T;
  }
}

const CHUNK = 4096;

/** Where a chunk of a text that begins at `start` ends: a few thousand units on, and not between two surrogates. */
export function endOfChunk(text: string, start: number): number {
  const end = start + CHUNK;
  if (end >= text.length) return text.length;
  return text.codePointAt(end - 1)! > 0xffff ? end + 1 : end;
}
