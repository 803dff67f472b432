// Lists the GPT-2 models in the cache: every snapshot with its size and state. Other models and broken repositories are
// skipped, since other programs use this cache too.
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { CachedRepository, repositoryOf } from "./cached-repository.ts";
import { CONFIG_FILE, isGpt2, modelTypeOf } from "./model-files.ts";
import { isCommit } from "./repository.ts";
import { inspectSnapshot, isComplete, isUsable, type Snapshot } from "./snapshot.ts";

export interface CachedModel {
  readonly id: string;
  readonly commit: string;
  /** Branches and tags that point to the commit. */
  readonly refs: readonly string[];
  /** Total size of the files. Content that two names share counts once. */
  readonly bytes: number;
  readonly state: "complete" | "usable" | "incomplete";
  /** Files that are missing, and files that the repository may have and the cache does not. */
  readonly lacking: readonly string[];
  readonly weights: Snapshot["weights"];
  readonly directory: string;
}

/** Sorted by name, then by commit. */
export async function cachedModels(cache: string): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  for (const folder of (await names(cache)).sort()) {
    const id = repositoryOf(folder);
    if (id === undefined) continue;
    const cached = new CachedRepository(cache, id);
    const refs = await refsOf(cached);
    for (const commit of (await names(cached.snapshots)).sort()) {
      const model = isCommit(commit) ? await modelAt(cached, commit, refs) : undefined;
      if (model !== undefined) models.push(model);
    }
  }
  return models;
}

/** Undefined: the snapshot is not a GPT-2 model, or cannot be read. */
async function modelAt(
  cached: CachedRepository,
  commit: string,
  refs: ReadonlyMap<string, string>,
): Promise<CachedModel | undefined> {
  const text = await readFile(cached.file(commit, CONFIG_FILE), "utf8").catch(() => "");
  const type = modelTypeOf(text);
  if (type === undefined || !isGpt2(type)) return undefined;
  const snapshot = await inspectSnapshot(cached, commit);
  const { missing, unknown, weights, directory } = snapshot;
  return {
    id: cached.id,
    commit,
    weights,
    directory,
    lacking: [...missing, ...unknown],
    refs: [...refs].flatMap(([ref, at]) => (at === commit ? [ref] : [])).sort(),
    bytes: await bytesOf(directory),
    state: isComplete(snapshot) ? "complete" : isUsable(snapshot) ? "usable" : "incomplete",
  };
}

async function bytesOf(directory: string): Promise<number> {
  const sizes = new Map<string, number>();
  for (const name of await names(directory)) {
    const path = await realpath(join(directory, name)).catch(() => undefined);
    const facts = path === undefined ? undefined : await stat(path).catch(() => undefined);
    if (path !== undefined && facts?.isFile()) sizes.set(path, facts.size);
  }
  return [...sizes.values()].reduce((total, size) => total + size, 0);
}

/** Branch or tag → commit. */
export async function refsOf(cached: CachedRepository): Promise<Map<string, string>> {
  const paths = await readdir(cached.refs, { recursive: true }).catch(() => []);
  const found = new Map<string, string>();
  for (const path of paths) {
    const ref = path.replaceAll("\\", "/");
    const text = await readFile(join(cached.refs, path), "utf8").catch(() => "");
    if (isCommit(text.trim())) found.set(ref, text.trim());
  }
  return found;
}

/** The names in a folder. Empty if it cannot be read. */
export function names(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
