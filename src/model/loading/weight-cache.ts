// Packed weights on disk, so that the next start need not quantise them again. An entry is a header of `HEADER_BYTES`, and then the
// weights as they are in memory. Its name is a hash of what they were made from. If anything is wrong with an entry or with the
// disk, the weights are packed again and the operator gets a message. It never prevents a start, and never changes a bit. See
// docs/adr/0007-weight-cache.md.
import { createHash } from "node:crypto";
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  promises,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../errors.ts";
import { isOwnFile } from "../../files/private-folder.ts";

export interface WeightCacheSettings {
  /** The folder of the entries. Nothing else is stored in it. */
  readonly directory: string;
  /** The most bytes of all entries together. */
  readonly maxBytes: number;
}

/** Describes an entry. Its file name is a hash of `key`. */
export interface EntryDescription {
  readonly key: string;
  readonly bytes: number;
}

const MAGIC = "gpt2-api weights";
const HEADER_BYTES = 4096;
const CHUNK_BYTES = 2 ** 24;
const ENDING = ".weights";
const UNFINISHED = ".unfinished";
/** An unfinished file that is older than this belongs to a process that died. */
const ABANDONED_MS = 3_600_000;

export class WeightCache {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #onProblem: (message: string) => void;

  constructor({ directory, maxBytes }: WeightCacheSettings, onProblem: (message: string) => void) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#onProblem = onProblem;
  }

  /**
   * Fills `into` with an entry's weights. `checksum` must compute the checksum of `into`.
   * @returns false when there is no usable entry; a damaged one is deleted, and `into` is filled with zeros
   */
  read(entry: EntryDescription, into: Uint8Array, checksum: () => string): boolean {
    const path = this.#pathOf(entry);
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#cannotRead(path, messageOf(error));
      return false;
    }
    try {
      const expected = readHeader(fd, entry);
      for (let at = 0; at < into.length; at += CHUNK_BYTES) {
        readFully(fd, into.subarray(at, at + CHUNK_BYTES), HEADER_BYTES + at);
      }
      if (checksum() !== expected) throw new Error("its checksum is wrong");
    } catch (error) {
      into.fill(0);
      this.#cannotRead(path, messageOf(error));
      bestEffort(() => rmSync(path));
      return false;
    } finally {
      closeSync(fd);
    }
    const now = new Date();
    bestEffort(() => utimesSync(path, now, now)); // The entry that was used last is deleted last.
    return true;
  }

  /** Stores an entry. Before that it deletes others, the least recently used first, until all fit. A failure is only reported. */
  async write(entry: EntryDescription, from: Uint8Array, checksum: string): Promise<void> {
    const path = this.#pathOf(entry);
    const bytes = HEADER_BYTES + from.length;
    try {
      if (bytes > this.#maxBytes) {
        throw new Error(`they take ${inMib(bytes)}, and --weight-cache-mb allows ${inMib(this.#maxBytes)}`);
      }
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      this.#makeRoom(path, bytes);
      const unfinished = `${path}.${process.pid}${UNFINISHED}`;
      await writeWhole(unfinished, header(entry, checksum), from);
      await promises.rename(unfinished, path);
    } catch (error) {
      const reason = messageOf(error);
      this.#onProblem(
        `${path}: the quantised weights are not kept; the next start makes them again (${reason})`,
      );
    }
  }

  #pathOf({ key }: EntryDescription): string {
    return join(this.#directory, `${hashOf(key)}${ENDING}`);
  }

  #cannotRead(path: string, reason: string): void {
    this.#onProblem(`${path}: these quantised weights cannot be used and are made again (${reason})`);
  }

  #makeRoom(path: string, bytes: number): void {
    const files = readdirSync(this.#directory)
      .filter((name) => name.endsWith(ENDING) || name.endsWith(UNFINISHED))
      .map((name) => join(this.#directory, name))
      .filter((file) => file !== path)
      .map((file) => ({ file, stat: statSync(file, { throwIfNoEntry: false }) }))
      .sort((a, b) => (a.stat?.mtimeMs ?? 0) - (b.stat?.mtimeMs ?? 0));
    let total = files.reduce((sum, { stat }) => sum + (stat?.size ?? 0), bytes);
    for (const { file, stat } of files) {
      const isAbandoned = file.endsWith(UNFINISHED) && Date.now() - (stat?.mtimeMs ?? 0) > ABANDONED_MS;
      if (!isAbandoned && (total <= this.#maxBytes || file.endsWith(UNFINISHED))) continue;
      bestEffort(() => rmSync(file));
      total -= stat?.size ?? 0;
    }
  }
}

function header({ key, bytes }: EntryDescription, checksum: string): Uint8Array {
  const text = JSON.stringify({ magic: MAGIC, bytes, checksum, key: hashOf(key) });
  return new TextEncoder().encode(text.padEnd(HEADER_BYTES, "\n"));
}

/** Checks an entry's header. @returns the checksum in it */
function readHeader(fd: number, entry: EntryDescription): string {
  const stats = fstatSync(fd);
  if (!isOwnFile(stats)) throw new Error("somebody else may have written it");
  const { size } = stats;
  if (size !== HEADER_BYTES + entry.bytes) {
    throw new Error(`it is ${size} bytes long, expected ${HEADER_BYTES + entry.bytes}`);
  }
  const bytes = new Uint8Array(HEADER_BYTES);
  readFully(fd, bytes, 0);
  const text = new TextDecoder().decode(bytes);
  const checksum = /"checksum":"(\w+)"/.exec(text)?.[1] ?? "";
  if (text !== new TextDecoder().decode(header(entry, checksum))) throw new Error("its header is damaged");
  return checksum;
}

function readFully(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length; ) {
    const count = readSync(fd, into, done, into.length - done, position + done);
    if (count === 0) throw new Error("it ended while it was read");
    done += count;
  }
}

/** Writes in chunks, and lets other work run between them, so that requests do not wait. */
async function writeWhole(path: string, first: Uint8Array, rest: Uint8Array): Promise<void> {
  const file = await promises.open(path, "wx", 0o600);
  try {
    await writeFully(file, first);
    for (let at = 0; at < rest.length; at += CHUNK_BYTES) {
      await writeFully(file, rest.subarray(at, at + CHUNK_BYTES));
    }
  } catch (error) {
    bestEffort(() => rmSync(path));
    throw error;
  } finally {
    await file.close();
  }
}

async function writeFully(file: promises.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
}

/** Does something useful whose failure is harmless, as on a read-only disk. */
function bestEffort(action: () => void): void {
  try {
    action();
  } catch {}
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function inMib(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
