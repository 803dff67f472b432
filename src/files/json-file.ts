// Reads JSON files that other programs wrote: checkpoints, tokenizers, settings. It accepts what Python writes beyond the
// standard. Before it builds anything, it refuses what is no regular file, too large, too deep, or has a key twice.
import { isUtf8 } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { type ErrorCode, GptError, messageOf } from "../errors.ts";

export interface JsonFileOptions {
  /** The code of the error for a file that cannot be used. */
  readonly code: ErrorCode;
  /** A larger file is refused. Default: 256 MiB, far above any tokenizer. */
  readonly bytesMax?: number;
}

const BYTES_MAX = 2 ** 28;
/** Real files have less than a tenth of this depth. */
const DEPTH_MAX = 200;
/** The first bytes of a Git LFS pointer, which stands in place of a large file. */
const LFS_POINTER = "version https://git-lfs.github.com/spec/";

/**
 * The content of a file; undefined if there is no such file.
 * @throws GptError with one sentence that begins with the path
 */
export function readJsonFile(path: string, { code, bytesMax = BYTES_MAX }: JsonFileOptions): unknown {
  const bytes = readRegularFile(path, { code, bytesMax });
  if (bytes === undefined) return undefined;
  const refuse = (problem: string): GptError => new GptError(code, `${path}: ${problem}`);
  if (!isUtf8(bytes)) throw refuse("is not text in UTF-8");
  const text = bytes.toString().replace(/^\ufeff/, "");
  if (text.startsWith(LFS_POINTER)) throw refuse(LFS_PROBLEM);
  return parseJson(text, refuse);
}

/** The problem with a file that is a Git LFS pointer, as a clause. */
export const LFS_PROBLEM =
  'is a pointer of Git LFS and not the file itself; fetch that with "git lfs pull", or download it';

/** Whether a file that begins with these bytes is such a pointer. */
export function isLfsPointer(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, LFS_POINTER.length)).toString("latin1") === LFS_POINTER;
}

/**
 * Opens a regular file for reading. Pipes and devices are refused: they may block, or never end.
 * @returns its descriptor; undefined if there is no such file
 * @throws GptError
 */
export function openRegularFile(path: string, code: ErrorCode): number | undefined {
  let fd: number;
  try {
    // O_NONBLOCK: a pipe opens at once, and the next check refuses it.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new GptError(code, `${path}: cannot be read (${messageOf(error)})`, { cause: error });
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new GptError(code, `${path}: is not a regular file`);
}

function readRegularFile(path: string, { code, bytesMax }: Required<JsonFileOptions>): Buffer | undefined {
  const fd = openRegularFile(path, code);
  if (fd === undefined) return undefined;
  try {
    const { size } = fstatSync(fd);
    if (size > bytesMax) {
      throw new GptError(code, `${path}: is ${size} bytes long, and at most ${bytesMax} are read`);
    }
    return readFileSync(fd);
  } catch (error) {
    if (error instanceof GptError) throw error;
    throw new GptError(code, `${path}: cannot be read (${messageOf(error)})`, { cause: error });
  } finally {
    closeSync(fd);
  }
}

/** Options of `parseJson` beside the text. */
export interface ParseJsonOptions {
  /** Refuse an object that has the same key twice. Default: the last one counts, as in Python. */
  readonly hasUniqueNames?: boolean;
}

/** Numbers that Python writes and JSON does not have. They are read as strings, which no numeric field accepts. */
const PYTHON_NUMBERS = /-?\b(?:NaN|Infinity)\b/y;

/**
 * Parses JSON as Python writes it.
 * @throws the error that `refuse` makes of the problem
 */
export function parseJson(
  text: string,
  refuse: (problem: string) => GptError,
  { hasUniqueNames = false }: ParseJsonOptions = {},
): unknown {
  const numbers = scan(text, hasUniqueNames, refuse);
  let standard = "";
  let end = 0;
  for (const [begin, word] of numbers) {
    standard += `${text.slice(end, begin)}"${word}"`;
    end = begin + word.length;
  }
  try {
    return JSON.parse(standard + text.slice(end));
  } catch (error) {
    throw refuse(`is not JSON (${messageOf(error)}); the file may be cut off`);
  }
}

/** One walk over a text. It finds the depth, repeated keys, and the places of Python's special numbers. */
function scan(
  text: string,
  hasUniqueNames: boolean,
  refuse: (problem: string) => GptError,
): (readonly [begin: number, word: string])[] {
  const numbers: (readonly [number, string])[] = [];
  /** The keys seen so far in each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') {
      const end = endOfString(text, i);
      const names = open.at(-1);
      if (hasUniqueNames && names && isName(text, end)) {
        const name = text.slice(i, end);
        if (names.has(name)) throw refuse(`says ${name.slice(0, 100)} twice in one object`);
        names.add(name);
      }
      i = end - 1;
    } else if (char === "{" || char === "[") {
      open.push(char === "{" ? new Set() : undefined);
      if (open.length > DEPTH_MAX) throw refuse(`is nested more than ${DEPTH_MAX} deep`);
    } else if (char === "}" || char === "]") {
      open.pop();
    } else if (char === "N" || char === "I" || char === "-") {
      PYTHON_NUMBERS.lastIndex = i;
      const [word] = PYTHON_NUMBERS.exec(text) ?? [];
      if (word === undefined) continue;
      numbers.push([i, word]);
      i += word.length - 1;
    }
  }
  return numbers;
}

/** The place after the string that begins at `begin`: behind its closing quote, or the end of the text. */
function endOfString(text: string, begin: number): number {
  for (let i = begin + 1; i < text.length; i++) {
    const char = text[i];
    if (char === "\\") i++;
    else if (char === '"') return i + 1;
  }
  return text.length;
}

function isName(text: string, end: number): boolean {
  let i = end;
  while (i < text.length && /\s/.test(text[i] as string)) i++;
  return text[i] === ":";
}
