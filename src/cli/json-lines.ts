// Reads and writes JSON lines: one object a line, ended by a line feed. Empty lines are skipped, and errors name their
// line. A file may be of any length, but of one line no more is kept than a request may have.
import { createReadStream } from "node:fs";
import { GptError, messageOf } from "../errors.ts";
import { parseJsonBody } from "../request/body.ts";
import { jsonLine } from "../wording.ts";

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  /** Without the line feed; undefined when the line was longer than allowed. */
  readonly bytes: Uint8Array | undefined;
}

const LINE_FEED = 0x0a;

/**
 * The lines of a file that are not blank. The path "-" means standard input.
 * @throws GptError `invalid_config` when the file cannot be read.
 */
export async function* readLines(path: string, lineBytesMax: number): AsyncGenerator<Line> {
  const lines = splitLines(path === "-" ? process.stdin : createReadStream(path), lineBytesMax);
  try {
    for await (const line of lines) if (!isBlank(line.bytes)) yield line;
  } catch (error) {
    throw new GptError("invalid_config", `The requests file ${path} cannot be read: ${messageOf(error)}`);
  }
}

/** All lines, also empty ones. The last line may lack its line feed. */
export async function* splitLines(chunks: AsyncIterable<Buffer>, lineBytesMax: number): AsyncGenerator<Line> {
  let number = 1;
  let parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    length += part.length;
    if (length <= lineBytesMax) parts.push(part);
    else parts = [];
  };
  const line = (): Line => ({ number, bytes: length > lineBytesMax ? undefined : Buffer.concat(parts) });
  for await (const chunk of chunks) {
    let begin = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, begin)) {
      take(chunk.subarray(begin, end));
      yield line();
      begin = end + 1;
      [number, parts, length] = [number + 1, [], 0];
    }
    take(chunk.subarray(begin));
  }
  if (length > 0) yield line();
}

/** Whether a line has only JSON's white space. */
function isBlank(bytes: Uint8Array | undefined): boolean {
  return bytes?.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d) ?? false;
}

/** @throws GptError `invalid_json`, `invalid_body` */
export function parseLine({ bytes }: Line, lineBytesMax: number): Readonly<Record<string, unknown>> {
  if (bytes !== undefined) return parseJsonBody(bytes);
  throw new GptError("invalid_body", `the line has more than ${lineBytesMax} bytes, see --body-bytes-max`);
}

/** Runs `work` on every item, at most `width` items at a time, and yields the results in the order of the items. */
export async function* mapInOrder<T, R>(
  items: AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    result.catch(() => {}); // Its error is thrown later, when it is awaited in its turn.
    pending.push(result);
    if (pending.length >= width) yield await (pending.shift() as Promise<R>);
  }
  for (const result of pending) yield await result;
}

/** The line that is printed in place of an answer. */
export function errorLine({ number }: Line, error: unknown): string {
  if (!(error instanceof GptError)) throw error;
  return jsonLine({ error: { line: number, code: error.code, message: error.message } });
}
