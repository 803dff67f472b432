// Removes a model from the cache: the whole repository, or some of its snapshots with the contents that no other snapshot
// uses. References go first, then snapshots, then contents. So no reference or link points to nothing, even if the removal is
// interrupted. Locks stay, and so does the store that newer huggingface_hub shares between repositories, as when
// huggingface_hub itself removes a model.
import { lstat, readdir, readlink, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { CachedRepository } from "./cached-repository.ts";
import { names, refsOf } from "./inventory.ts";
import { ABANDONED_MS, ownPartialFiles } from "./partial-file.ts";
import { errorCode } from "./publication.ts";
import { isCommit, type Repository, twinOf } from "./repository.ts";

/** What a removal takes away. `planRemoval` makes it, `remove` carries it out. */
export interface Removal {
  readonly cached: CachedRepository;
  /** Undefined: the whole repository. */
  readonly commits: readonly string[] | undefined;
  readonly refs: readonly string[];
  /** Names of blobs that nothing else links to. */
  readonly blobs: readonly string[];
  /** Bytes that the disk gets back. */
  readonly freedBytes: number;
  /** Bytes that stay on the disk, in a store that other repositories may use too. */
  readonly sharedBytes: number;
}

const COMMIT_DIGITS_MIN = 7;

/**
 * Plans the removal of a whole model, or of one revision: a branch, a tag, a commit or the first digits of one.
 * Undefined: the cache has no such model or revision.
 */
export async function planRemoval(
  cache: string,
  { id }: Repository,
  revision: string | undefined,
): Promise<Removal | undefined> {
  const twin = twinOf(id);
  for (const name of twin === undefined ? [id] : [id, twin]) {
    const plan = await planFor(new CachedRepository(cache, name), revision);
    if (plan !== undefined) return plan;
  }
  return undefined;
}

async function planFor(cached: CachedRepository, revision: string | undefined): Promise<Removal | undefined> {
  if (!(await lstat(cached.folder).catch(() => undefined))?.isDirectory()) return undefined;
  const commits = (await names(cached.snapshots)).filter(isCommit);
  const refs = await refsOf(cached);
  const chosen = revision === undefined ? commits : commitsFor(revision, commits, refs);
  if (revision !== undefined && chosen.length === 0) return undefined;
  const staying = commits.filter((commit) => !chosen.includes(commit));
  const used = new Set((await Promise.all(staying.map((commit) => blobsOf(cached, commit)))).flat());
  const blobs = (await names(cached.blobs)).filter((name) => !used.has(name) && !name.startsWith("."));
  const isWhole = staying.length === 0;
  // Blobs that no snapshot links to stay: they may be downloads of another process.
  const removed = new Set((await Promise.all(chosen.map((commit) => blobsOf(cached, commit)))).flat());
  const going = isWhole ? blobs : blobs.filter((name) => removed.has(name));
  return {
    cached,
    blobs: going,
    commits: isWhole ? undefined : chosen,
    refs: [...refs].flatMap(([ref, commit]) => (chosen.includes(commit) ? [ref] : [])),
    ...(await sizes(cached, going, chosen)),
  };
}

function commitsFor(
  revision: string,
  commits: readonly string[],
  refs: ReadonlyMap<string, string>,
): string[] {
  const named = refs.get(revision);
  const isPrefix = revision.length >= COMMIT_DIGITS_MIN && /^[0-9a-f]+$/.test(revision);
  const found = commits.filter((commit) => commit === named || (isPrefix && commit.startsWith(revision)));
  // The digits are ambiguous, and nothing is removed on a guess.
  return found.length > 1 ? [] : found;
}

/** Names of the blobs that a snapshot links to. */
async function blobsOf(cached: CachedRepository, commit: string): Promise<string[]> {
  const folder = cached.snapshot(commit);
  const paths = await readdir(folder, { recursive: true }).catch(() => []);
  const targets = await Promise.all(paths.map((path) => readlink(join(folder, path)).catch(() => undefined)));
  return targets.flatMap((target) => (target === undefined ? [] : [basename(target)]));
}

async function sizes(cached: CachedRepository, blobs: readonly string[], commits: readonly string[]) {
  let [freedBytes, sharedBytes] = [0, 0];
  for (const path of blobs.map((name) => cached.blob(name))) {
    const own = await lstat(path).catch(() => undefined);
    const content = await stat(path).catch(() => undefined);
    if (own?.isSymbolicLink()) sharedBytes += content?.size ?? 0;
    // If `nlink` is 2, the same content is also a blob of the repository's other name, and its space is not freed.
    else if (own?.isFile() && own.nlink === 1) freedBytes += own.size;
  }
  for (const folder of commits.map((commit) => cached.snapshot(commit))) {
    for (const path of await readdir(folder, { recursive: true }).catch(() => [])) {
      const own = await lstat(join(folder, path)).catch(() => undefined);
      if (own?.isFile() && own.nlink === 1) freedBytes += own.size;
    }
  }
  return { freedBytes, sharedBytes };
}

/**
 * Carries out a removal. Partial files that another process is writing to stay, and so does their folder.
 * @throws Error of the file system
 */
export async function remove({ cached, commits, refs, blobs }: Removal, nowMs: number): Promise<void> {
  const isWhole = commits === undefined;
  const busy = (await ownPartialFiles(cached.blobs)).filter(({ mtimeMs }) => nowMs - mtimeMs < ABANDONED_MS);
  const kept = new Set(busy.map(({ path }) => basename(path)));
  for (const ref of isWhole ? await names(cached.refs) : refs) await removeTree(join(cached.refs, ref));
  for (const commit of commits ?? (await names(cached.snapshots))) {
    await removeTree(cached.snapshot(commit));
    await removeTree(join(cached.folder, ".no_exist", commit));
    await removeTree(join(cached.folder, "trees", `${commit}.json`));
  }
  for (const name of isWhole ? await names(cached.blobs) : blobs) {
    if (!kept.has(name)) await rm(cached.blob(name), { force: true });
  }
  if (isWhole && busy.length === 0) await removeTree(cached.folder);
}

const REMOVE_TRIES = 5;

/** Deletes a folder, and tries again if a file was added meanwhile. */
async function removeTree(folder: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await rm(folder, { recursive: true, force: true });
    } catch (error) {
      const wasAdded = /^(ENOTEMPTY|EEXIST)$/.test(errorCode(error));
      if (!wasAdded || tries === REMOVE_TRIES) throw error;
    }
  }
}
