// A file that is being fetched. It has a name of its own for each process, `{hash}.gpt2api-{8 digits}.incomplete` in the
// folder of blobs, so that no two write to one; Python deletes such files when it tidies up and reads none. One that
// nobody has written to or touched for a minute has no owner, and whoever renames it owns it. What is in it is hashed as
// it comes.
import type { Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { contentHash, hashFile } from "./content-hash.ts";
import type { ListedFile } from "./listing.ts";
import { errorCode } from "./publication.ts";
import type { World } from "./world.ts";

/** A file that has been still for so long has no owner. */
export const ABANDONED_MS = 60_000;
const TOUCH_EVERY_MS = 20_000;

/** Thrown when another process has taken the file over, as it may after this one was suspended. */
export class LostFile extends Error {}

export class PartialFile {
  readonly path: string;
  readonly #file: ListedFile;
  readonly #handle: FileHandle;
  readonly #world: World;
  readonly #toucher: NodeJS.Timeout;
  #hash: Hash;
  #length: number;
  /** When the file was last written to or touched. */
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

  /** Takes over what another process has left of the file, or begins a new one. */
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

  /** Bytes that are here. */
  get length(): number {
    return this.#length;
  }

  /** Appends; `chunk` must fit. @throws LostFile */
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

  /** Forgets all that is here. */
  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = contentHash(this.#file.etag, this.#file.size);
    this.#length = 0;
  }

  /** The hash of what is here. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Makes sure that the content survives a loss of power, and closes the file. @throws LostFile */
  async finish(): Promise<void> {
    await this.#checkOwner();
    await this.#handle.sync();
    await this.#close();
  }

  /** Leaves the file to whoever comes next, who need not wait. */
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

  /** Hashes what an earlier owner wrote; what is longer than the whole cannot be its beginning. */
  async #adopt(size: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      if (size > this.#file.size) await this.restart();
      else this.#length = await hashFile(this.#hash, this.path, size, signal);
    } catch (error) {
      await this.leave();
      throw error;
    }
  }

  /** While no bytes come, too, the file must not look abandoned. */
  readonly #touch = (): void => {
    const now = this.#world.now();
    if (now - this.#aliveMs > ABANDONED_MS) {
      this.#isDoubtful = true;
      return;
    }
    this.#aliveMs = now;
    this.#handle.utimes(now / 1000, now / 1000).catch(() => {});
  };

  /** After a pause that was long enough for others to think that there is no owner. */
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

/** Of one content, the longest first. */
async function abandonedFiles(folder: string, etag: string, nowMs: number): Promise<Abandoned[]> {
  const found: Abandoned[] = [];
  for (const { path, size, mtimeMs } of await ownPartialFiles(folder)) {
    const isOf = path.startsWith(join(folder, `${etag}.`));
    if (isOf && nowMs - mtimeMs >= ABANDONED_MS) found.push({ path, size });
  }
  return found.sort((a, b) => b.size - a.size);
}

/** Bytes of a file that `claim` would find. */
export async function abandonedBytes(folder: string, etag: string, nowMs: number): Promise<number> {
  return (await abandonedFiles(folder, etag, nowMs))[0]?.size ?? 0;
}

const FORGOTTEN_MS = 24 * 60 * 60_000;

/** Deletes partial files without an owner: of contents that are whole by now, and any that nobody came back for. */
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
 * Touched under its old name, so that it never looks abandoned under the new one. False when somebody else was faster.
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
