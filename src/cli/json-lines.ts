// Files of JSON lines: one request a line, empty lines skipped, every error with its line number.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { GptError, messageOf } from "../errors.ts";

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
}

/**
 * The lines of a file, or of standard input when `path` is "-".
 * @throws GptError `invalid_config` when the file cannot be read.
 */
export async function* readLines(path: string): AsyncGenerator<Line> {
  const input = path === "-" ? process.stdin : createReadStream(path);
  const failed = new Promise<never>((_, reject) => input.once("error", reject));
  failed.catch(() => {});
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  let number = 0;
  try {
    for (;;) {
      const { value, done } = await Promise.race([lines.next(), failed]);
      if (done) return;
      number += 1;
      if (value.trim() !== "") yield { number, text: value };
    }
  } catch (error) {
    throw new GptError("invalid_config", `The requests file ${path} cannot be read: ${messageOf(error)}`);
  }
}

/** Runs `work` on every item, at most `width` at a time, and yields the results in the order of the items. */
export async function* mapInOrder<T, R>(
  items: AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    result.catch(() => {}); // It is awaited, and may throw, when its turn comes.
    pending.push(result);
    if (pending.length >= width) yield await (pending.shift() as Promise<R>);
  }
  for (const result of pending) yield await result;
}

/** What is printed in place of an answer. */
export function errorLine({ number }: Line, error: unknown): { error: object } {
  if (!(error instanceof GptError)) throw error;
  return { error: { line: number, code: error.code, message: error.message } };
}
