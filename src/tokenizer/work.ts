// A budget of work, so that long texts do not block the event loop. Code that walks over a text counts down the budget and
// yields in the middle when it is used up. Its driver lets others run, refills the budget and continues. A caller that must not
// be interrupted passes an endless budget. Nothing here waits; it only counts.

/** One unit of work is about the cost of one UTF-16 unit in one step: some tens of nanoseconds. */
export interface Work {
  /** Units left of this share; below 0 it is used up. */
  left: number;
}

export const endlessWork = (): Work => ({ left: Number.POSITIVE_INFINITY });

/** A long computation: it yields when its budget is used up, and returns its result. */
export type Steps<T> = Generator<undefined, T>;

/** The pieces of a text; undefined between them means that the budget is used up. */
export type Pieces = Generator<string | undefined, void>;

/** Runs to the end at once, with an endless budget. */
export function runToEnd<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as T;
  }
}

const CHUNK = 4096;

/** The end of the chunk that begins at `start`: a few thousand units on, and never inside a surrogate pair. */
export function endOfChunk(text: string, start: number): number {
  const end = start + CHUNK;
  if (end >= text.length) return text.length;
  return text.codePointAt(end - 1)! > 0xffff ? end + 1 : end;
}
