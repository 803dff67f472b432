// Writing to the cache that Python's huggingface_hub shares, in the order in which readers may look: content, then the
// link to it, then what is known not to exist, then the reference. Whatever appears under its name is whole: it is made
// under another one and renamed. No lock is taken, as Node cannot take Python's; every process has files of its own.
import { constants } from "node:fs";
import {
  copyFile,
  link,
  lstat,
  mkdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { GptError, messageOf } from "../errors.ts";
import { type CachedRepository, isFile } from "./cached-repository.ts";
import type { World } from "./world.ts";

/** Of files that are not to be seen under this name; `blobs` is the one folder in which Python minds none. */
const TEMPORARY_PREFIX = ".gpt2api-";

export class Publication {
  readonly #cached: CachedRepository;
  readonly #commit: string;
  readonly #world: World;
  #useSymlinks: boolean;

  constructor(cached: CachedRepository, commit: string, world: World, useSymlinks: boolean) {
    this.#cached = cached;
    this.#commit = commit;
    this.#world = world;
    this.#useSymlinks = useSymlinks;
  }

  /** The snapshot comes first: a repository without one is broken in Python's eyes. */
  async prepare(): Promise<void> {
    await this.#writing(async () => {
      await mkdir(this.#cached.snapshot(this.#commit), { recursive: true });
      await mkdir(this.#cached.blobs, { recursive: true });
    });
  }

  /**
   * Gives a file whose hash is right its names: that of its content, and that in the snapshot. Without symbolic links the
   * file itself lies in the snapshot, and only there.
   */
  async publish(path: string, name: string, etag: string): Promise<void> {
    const blob = this.#cached.blob(etag);
    const target = this.#cached.file(this.#commit, name);
    await this.#writing(async () => {
      await mkdir(this.#cached.blobs, { recursive: true });
      await mkdir(dirname(target), { recursive: true });
      if (!this.#useSymlinks) return moveInto(path, target);
      await moveInto(path, blob);
      if (!(await this.#link(blob, target))) await moveInto(blob, target);
    });
  }

  /** Puts a blob that is here already into the snapshot. */
  async linkBlob(name: string, etag: string): Promise<void> {
    const blob = this.#cached.blob(etag);
    const target = this.#cached.file(this.#commit, name);
    await this.#writing(async () => {
      await mkdir(dirname(target), { recursive: true });
      if (this.#useSymlinks && (await this.#link(blob, target))) return;
      const temporary = this.#temporary();
      await copyFile(blob, temporary, constants.COPYFILE_FICLONE);
      await moveInto(temporary, target);
    });
  }

  /** False, from then on, where there are no symbolic links. */
  async #link(blob: string, target: string): Promise<boolean> {
    const temporary = this.#temporary();
    this.#useSymlinks = await makeSymlink(relative(dirname(target), blob), temporary);
    if (this.#useSymlinks) await rename(temporary, target);
    return this.#useSymlinks;
  }

  /**
   * Takes a file of the same content from elsewhere in the cache, for which it needs no room where the file system has
   * hard links.
   */
  async adopt(source: string, name: string, etag: string): Promise<void> {
    const temporary = this.#temporary();
    await this.#writing(async () => {
      await mkdir(this.#cached.blobs, { recursive: true });
      // What a link leads to, which may be a store of Python's that is cleaned up when nobody is known to use it.
      const real = await realpath(source);
      await link(real, temporary).catch(() => copyFile(real, temporary, constants.COPYFILE_FICLONE));
    });
    await this.publish(temporary, name, etag);
  }

  /** Notes names that the commit does not have. */
  async noteAbsent(names: readonly string[]): Promise<void> {
    await this.#writing(async () => {
      for (const name of names) {
        const path = this.#cached.absence(this.#commit, name);
        if (await isFile(path)) continue;
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, "");
      }
    });
  }

  /** Says which commit a branch or tag stands for. */
  async writeRef(revision: string): Promise<void> {
    const path = join(this.#cached.refs, revision);
    const before = await readFile(path, "utf8").catch(() => undefined);
    if (before === this.#commit) return;
    await this.#writing(async () => {
      const temporary = this.#temporary();
      await mkdir(dirname(path), { recursive: true });
      await writeFile(temporary, this.#commit);
      await rename(temporary, path);
    });
  }

  #temporary(): string {
    return join(this.#cached.blobs, TEMPORARY_PREFIX + this.#world.randomName());
  }

  async #writing(write: () => Promise<void>): Promise<void> {
    await write().catch((cause: unknown) => {
      throw writeError(cause, this.#cached.folder);
    });
  }
}

/** On Windows an open file cannot be replaced; one of the same name has the same content. */
async function moveInto(path: string, target: string): Promise<void> {
  try {
    await rename(path, target);
  } catch (error) {
    const isThere = await lstat(target).then(
      (facts) => facts.isFile(),
      () => false,
    );
    if (!isThere || errorCode(error) === "ENOENT") throw error;
    await rm(path, { force: true });
  }
}

/** What file systems without links, and Windows without the right to make them, answer. */
const NO_SYMLINKS = /^(EPERM|EACCES|ENOTSUP|EOPNOTSUPP|ENOSYS|UNKNOWN)$/;

/** False where there are none. */
async function makeSymlink(target: string, path: string): Promise<boolean> {
  try {
    await symlink(target, path, "file");
    return true;
  } catch (error) {
    if (NO_SYMLINKS.test(errorCode(error))) return false;
    throw error;
  }
}

export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

/** Errors of a disk that a person can act on, in a sentence with the path; others as they are. */
export function writeError(cause: unknown, path: string): unknown {
  if (cause instanceof GptError || !/^E[A-Z0-9]+$/.test(errorCode(cause)) || errorCode(cause) === "ENOENT") {
    return cause;
  }
  return new GptError(
    "download_failed",
    `${path} cannot be written: ${messageOf(cause)}; HF_HUB_CACHE names another folder`,
    { cause },
  );
}
