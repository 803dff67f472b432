// What the cache holds of a model at one commit, and whether that is complete. That a snapshot folder exists proves nothing:
// every interrupted download leaves one. So each file must be present, or recorded as absent from the repository.
import { readFile } from "node:fs/promises";
import { CachedRepository } from "./cached-repository.ts";
import {
  CONFIG_FILE,
  OLD_TOKENIZER_PAIR,
  partsOf,
  SIDE_FILES,
  TOKENIZER_FILE,
  TOKENIZER_PAIR,
  WEIGHT_FILES,
} from "./model-files.ts";
import { type Repository, twinOf } from "./repository.ts";

export interface Snapshot {
  /** The name under which the model is cached. */
  readonly id: string;
  readonly commit: string;
  readonly directory: string;
  /** Required files that the cache lacks. */
  readonly missing: readonly string[];
  /** Optional files that the cache lacks and that are not recorded as absent: the repository may have them. */
  readonly unknown: readonly string[];
  /** The form of the weights. Undefined: the cache has none. */
  readonly weights: "safetensors" | "pytorch_model.bin" | "sharded" | undefined;
  /** Whether the cache has the files of one form of tokenizer. */
  readonly hasTokenizer: boolean;
}

export function isComplete({ missing, unknown }: Snapshot): boolean {
  return missing.length === 0 && unknown.length === 0;
}

/** Whether it can be loaded. It may still lack optional files that would change its answers. */
export function isUsable({ missing, hasTokenizer }: Snapshot): boolean {
  return missing.length === 0 && hasTokenizer;
}

/** The most complete snapshot of a name or its twin. Undefined: the cache has none. */
export async function findSnapshot(cache: string, repository: Repository): Promise<Snapshot | undefined> {
  const { id, revision } = repository;
  const twin = twinOf(id);
  const found: Snapshot[] = [];
  for (const name of twin === undefined ? [id] : [id, twin]) {
    const cached = new CachedRepository(cache, name);
    const commit = await cached.commitOf(revision);
    if (commit !== undefined) found.push(await inspectSnapshot(cached, commit));
  }
  return found.find(isComplete) ?? found.find(isUsable) ?? found[0];
}

export async function inspectSnapshot(cached: CachedRepository, commit: string): Promise<Snapshot> {
  const has = (name: string): Promise<boolean> => cached.has(commit, name);
  const missing = (await has(CONFIG_FILE)) ? [] : [CONFIG_FILE];
  const { kind, lacking } = await inspectWeights(cached, commit);
  const tokenizer = await inspectTokenizer(cached, commit);
  const here = await Promise.all(SIDE_FILES.map(has));
  const asked = [...SIDE_FILES.filter((_, i) => !here[i]), ...tokenizer.asked];
  const absent = await cached.knownAbsent(commit, asked);
  return {
    id: cached.id,
    commit,
    directory: cached.snapshot(commit),
    weights: kind,
    missing: [...missing, ...lacking],
    unknown: asked.filter((name) => !absent.has(name)),
    hasTokenizer: tokenizer.isFound,
  };
}

interface WeightsHere {
  readonly kind: Snapshot["weights"];
  readonly lacking: readonly string[];
}

async function inspectWeights(cached: CachedRepository, commit: string): Promise<WeightsHere> {
  let partly: WeightsHere | undefined;
  for (const { name, isIndex, kind } of WEIGHT_FILES) {
    if (!(await cached.has(commit, name))) continue;
    if (!isIndex) return { kind, lacking: [] };
    const parts = partsOf(await readFile(cached.file(commit, name), "utf8").catch(() => "")) ?? [name];
    const here = await Promise.all(parts.map((part) => cached.has(commit, part)));
    const lacking = parts.filter((part, i) => !here[i] || part === name);
    if (lacking.length === 0) return { kind: "sharded", lacking };
    partly ??= { kind: "sharded", lacking };
  }
  return partly ?? { kind: undefined, lacking: [WEIGHT_FILES[0]?.name ?? ""] };
}

/** `asked`: files of the forms that would be preferred to the one found. They must be recorded as absent. */
async function inspectTokenizer(cached: CachedRepository, commit: string) {
  const forms = [[TOKENIZER_FILE], TOKENIZER_PAIR, OLD_TOKENIZER_PAIR];
  const asked: string[] = [];
  for (const names of forms) {
    const here = await Promise.all(names.map((name) => cached.has(commit, name)));
    if (here.every(Boolean)) return { isFound: true, asked };
    asked.push(...names.filter((_, i) => !here[i]));
  }
  return { isFound: false, asked };
}
