// A file that is being downloaded. Its name is `{hash}.gpt2api-{8 digits}.incomplete` in the folder of blobs. The digits are
// random, so no two processes write to one file. Python's huggingface_hub never reads such files and deletes them when it
// cleans up. A file is owned as long as its modification time is fresh: its owner writes to it or touches it. After a minute
// without either it has no owner, and a process takes it over by renaming it. Content is hashed as it arrives.
import type { Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { contentHash, hashFile } from "./content-hash.ts";
import type { ListedFile } from "./listing.ts";
import { errorCode } from "./publication.ts";
import type { World } from "./world.ts";

/** The age of the modification time at which a partial file has no owner any more. */
export const ABANDONED_MS = 60_000;
const TOUCH_EVERY_MS = 20_000;

/** Thrown when another process has taken the file over, which may happen while this process is suspended. */
export class LostFile extends Error {}

export class PartialFile {
  readonly path: string;
  readonly #file: ListedFile;
  readonly #handle: FileHandle;
  readonly #world: World;
  readonly #toucher: NodeJS.Timeout;
  #hash: Hash;
  #length: number;
  /** When this process last wrote to the file or touched it. */
  #aliveMs: number;
  #isDoubtful = false;

  private constructor(path: string, file: ListedFile, handle: FileHandle, world: World) {
    this.path = path;
    this.#file = file;
    this.#handle = handle;
    this.#world = world;
    this.#hash = contentHash(file.etag, file.size);
    this.#length = 0;
    this.#aliveMs = world.now();
    this.#toucher = setInterval(this.#touch, TOUCH_EVERY_MS).unref();
  }

  /** Takes over a partial file without an owner, or creates a new one. */
  static async claim(
    folder: string,
    file: ListedFile,
    world: World,
    signal?: AbortSignal,
  ): Promise<PartialFile> {
    for (const { path, size } of await abandonedFiles(folder, file.etag, world.now())) {
      const own = join(folder, ownName(file.etag, world));
      if (!(await takeOver(path, own, world.now()))) continue;
      const partial = new PartialFile(own, file, await world.open(own, "r+"), world);
      await partial.#adopt(size, signal);
      return partial;
    }
    const path = join(folder, ownName(file.etag, world));
    return new PartialFile(path, file, await world.open(path, "wx+"), world);
  }

  /** The length so far, in bytes. */
  get length(): number {
    return this.#length;
  }

  /** Appends `chunk`, which must not exceed the file's expected size. @throws LostFile */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#isDoubtful || this.#world.now() - this.#aliveMs > ABANDONED_MS) await this.#checkOwner();
    let written = 0;
    while (written < chunk.length) {
      const rest = chunk.length - written;
      const { bytesWritten } = await this.#handle.write(chunk, written, rest, this.#length + written);
      written += bytesWritten;
    }
    this.#hash.update(chunk);
    this.#length += chunk.length;
    this.#aliveMs = this.#world.now();
  }

  /** Empties the file. */
  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = contentHash(this.#file.etag, this.#file.size);
    this.#length = 0;
  }

  /** The hash of the content so far, in hexadecimal digits. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Flushes the content to the disk (fsync), so that it survives a loss of power, and closes the file. @throws LostFile */
  async finish(): Promise<void> {
    await this.#checkOwner();
    await this.#handle.sync();
    await this.#close();
  }

  /** Closes the file and gives it up: it gets an old modification time, so that the next process need not wait a minute. */
  async leave(): Promise<void> {
    await this.#close();
    const seconds = (this.#world.now() - ABANDONED_MS) / 1000 - 1;
    await utimes(this.path, seconds, seconds).catch(() => {});
  }

  async discard(): Promise<void> {
    await this.#close();
    await rm(this.path, { force: true });
  }

  async #close(): Promise<void> {
    clearInterval(this.#toucher);
    await this.#handle.close().catch(() => {});
  }

  /** Hashes what an earlier owner wrote. If that is longer than the expected size, it is thrown away. */
  async #adopt(size: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      if (size > this.#file.size) await this.restart();
      else this.#length = await hashFile(this.#hash, this.path, size, signal);
    } catch (error) {
      await this.leave();
      throw error;
    }
  }

  /** Called by a timer, so that the file does not look abandoned while no bytes arrive. */
  readonly #touch = (): void => {
    const now = this.#world.now();
    if (now - this.#aliveMs > ABANDONED_MS) {
      this.#isDoubtful = true;
      return;
    }
    this.#aliveMs = now;
    this.#handle.utimes(now / 1000, now / 1000).catch(() => {});
  };

  /** For use after a pause in which another process may have taken the file over. */
  async #checkOwner(): Promise<void> {
    const [named, open] = await Promise.all([
      stat(this.path).catch(() => undefined),
      this.#handle.stat().catch(() => undefined),
    ]);
    if (named === undefined || open === undefined || named.ino !== open.ino) throw new LostFile(this.path);
    this.#isDoubtful = false;
    this.#aliveMs = this.#world.now();
  }
}

function ownName(etag: string, world: World): string {
  return `${etag}.gpt2api-${world.randomName()}.incomplete`;
}

interface Abandoned {
  readonly path: string;
  readonly size: number;
}

/** The partial files of one content that have no owner, the longest first. */
async function abandonedFiles(folder: string, etag: string, nowMs: number): Promise<Abandoned[]> {
  const found: Abandoned[] = [];
  for (const { path, size, mtimeMs } of await ownPartialFiles(folder)) {
    const isOf = path.startsWith(join(folder, `${etag}.`));
    if (isOf && nowMs - mtimeMs >= ABANDONED_MS) found.push({ path, size });
  }
  return found.sort((a, b) => b.size - a.size);
}

/** The length of the file that `claim` would take over; 0: there is none. */
export async function abandonedBytes(folder: string, etag: string, nowMs: number): Promise<number> {
  return (await abandonedFiles(folder, etag, nowMs))[0]?.size ?? 0;
}

const FORGOTTEN_MS = 24 * 60 * 60_000;

/** Deletes partial files without an owner, if their content is complete by now or if they are a day old. */
export async function tidy(folder: string, wholeEtags: readonly string[], nowMs: number): Promise<void> {
  for (const { path, mtimeMs } of await ownPartialFiles(folder)) {
    const ageMs = nowMs - mtimeMs;
    const isWhole = wholeEtags.some((etag) => path.startsWith(join(folder, `${etag}.`)));
    if (ageMs >= (isWhole ? ABANDONED_MS : FORGOTTEN_MS)) await rm(path, { force: true }).catch(() => {});
  }
}

/** All partial files of this software in a folder. */
export async function ownPartialFiles(folder: string) {
  const names = await readdir(folder).catch(() => []);
  const own = names.filter((name) => /^[0-9a-f]{40,64}\.gpt2api-[0-9a-f]{8}\.incomplete$/.test(name));
  const found = await Promise.all(
    own.map(async (name) => {
      const path = join(folder, name);
      const facts = await stat(path).catch(() => undefined);
      return facts === undefined ? [] : [{ path, size: facts.size, mtimeMs: facts.mtimeMs }];
    }),
  );
  return found.flat();
}

/**
 * Takes a partial file over by renaming it. It is touched first, under its old name: so it never looks abandoned under the
 * new one. False: another process was faster.
 */
async function takeOver(path: string, own: string, nowMs: number): Promise<boolean> {
  try {
    await utimes(path, nowMs / 1000, nowMs / 1000);
    await rename(path, own);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}
