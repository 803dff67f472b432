// Takes a model out of the cache: its repository, or one of its snapshots with what no other one uses; references, then
// snapshots, then contents, so that no reader meets one that leads nowhere, whenever this is interrupted. Locks and the
// store that newer Pythons share between repositories stay, as they do when Python removes a model.
import { lstat, readdir, readlink, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { CachedRepository } from "./cached-repository.ts";
import { names, refsOf } from "./inventory.ts";
import { ABANDONED_MS, ownPartialFiles } from "./partial-file.ts";
import { errorCode } from "./publication.ts";
import { isCommit, type Repository, twinOf } from "./repository.ts";

/** What would go; made by `planRemoval`, carried out by `remove`. */
export interface Removal {
  readonly cached: CachedRepository;
  /** Undefined: the whole repository. */
  readonly commits: readonly string[] | undefined;
  readonly refs: readonly string[];
  /** Names of blobs that nothing else links to. */
  readonly blobs: readonly string[];
  /** Bytes that the disk gets back. */
  readonly freedBytes: number;
  /** Bytes of a store that other repositories may use too. */
  readonly sharedBytes: number;
}

const COMMIT_DIGITS_MIN = 7;

/**
 * What is removed for a name, or for one of its revisions: a branch, a tag, a commit or the first digits of one.
 * Undefined: the cache has no such model.
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
  // Partial files and other contents that no snapshot has yet may be somebody's work.
  const removed = new Set((await Promise.all(chosen.map((commit) => blobsOf(cached, commit)))).flat());
  const going = isWhole ? blobs : blobs.filter((name) => removed.has(name));
  return {
    ...{ cached, blobs: going, commits: isWhole ? undefined : chosen },
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
  // Several commits that begin alike are not what anybody meant.
  return found.length > 1 ? [] : found;
}

/** Names of the blobs to which a snapshot links. */
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
    // A further hard link, of the repository's other name, keeps the content.
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
 * Partial files that another process is writing to stay, and so does then the folder in which they are.
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

/** Again where something was added meanwhile. */
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
