// Writes to the cache that is shared with Python's huggingface_hub. The order is chosen for readers that look meanwhile:
// first the content, then the link to it, then the names that do not exist, last the reference. Every file is written under
// a temporary name and renamed, so a reader never sees a half-written one. No lock is taken, because Node has no call for
// the kind that Python uses (flock). Instead every process writes to temporary files of its own.
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

/** Of temporary files. They lie in `blobs`, the only folder in which huggingface_hub does not mind unknown files. */
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

  /** Creates the folders. The snapshot's comes first: huggingface_hub calls a repository without one corrupt. */
  async prepare(): Promise<void> {
    await this.#writing(async () => {
      await mkdir(this.#cached.snapshot(this.#commit), { recursive: true });
      await mkdir(this.#cached.blobs, { recursive: true });
    });
  }

  /**
   * Moves a file whose hash has been checked into the blobs, and links it into the snapshot. Without symbolic links the file
   * itself moves into the snapshot, and there is no blob.
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

  /** Links a blob that the cache has already into the snapshot. Without symbolic links it is copied. */
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

  /** False: there are no symbolic links here. After the first failure none is tried again. */
  async #link(blob: string, target: string): Promise<boolean> {
    const temporary = this.#temporary();
    this.#useSymlinks = await makeSymlink(relative(dirname(target), blob), temporary);
    if (this.#useSymlinks) await rename(temporary, target);
    return this.#useSymlinks;
  }

  /**
   * Publishes content that another repository of the cache has already. With hard links that needs no further disk space.
   */
  async adopt(source: string, name: string, etag: string): Promise<void> {
    const temporary = this.#temporary();
    await this.#writing(async () => {
      await mkdir(this.#cached.blobs, { recursive: true });
      // Newer huggingface_hub keeps contents in a common store and makes blobs links into it. It removes from the store what
      // no blob of its own uses. So the hard link must go to the content itself.
      const real = await realpath(source);
      await link(real, temporary).catch(() => copyFile(real, temporary, constants.COPYFILE_FICLONE));
    });
    await this.publish(temporary, name, etag);
  }

  /** Records that the commit does not have files of these names. */
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

  /** Records that a branch or tag points to the commit. */
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

/**
 * Renames `path` to `target`. On Windows an open file cannot be replaced. Then the one that is there can stay: files of one
 * name have the same content.
 */
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

/** Error codes of file systems without symbolic links, and of Windows when the user may not create them. */
const NO_SYMLINKS = /^(EPERM|EACCES|ENOTSUP|EOPNOTSUPP|ENOSYS|UNKNOWN)$/;

/** False: symbolic links are not possible here. */
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

/** Turns a file system error that the user can act on into a `GptError` with the path. Returns other errors unchanged. */
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
