// One repository in the cache that is shared with Python's huggingface_hub: the paths of its parts, and what the cache knows
// about it. This file only reads; `publication.ts` writes. The layout is that of huggingface_hub:
//
//   models--owner--name/blobs/{hash}              file contents
//   models--owner--name/snapshots/{commit}/{file} symbolic links to the contents
//   models--owner--name/refs/{branch}             the commit: 40 hexadecimal digits, no line end
//   models--owner--name/.no_exist/{commit}/{file} an empty file: the commit has no such file
//   models--owner--name/trees/{commit}.json       the commit's list of files, written by newer huggingface_hub only
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { isCommit } from "./repository.ts";

const TREE_BYTES_MAX = 64_000_000;
const treeSchema = z.object({ format_version: z.literal(1), files: z.record(z.string(), z.unknown()) });

export class CachedRepository {
  readonly id: string;
  readonly folder: string;

  constructor(cache: string, id: string) {
    this.id = id;
    this.folder = join(cache, folderName(id));
  }

  get blobs(): string {
    return join(this.folder, "blobs");
  }

  blob(etag: string): string {
    return join(this.blobs, etag);
  }

  get snapshots(): string {
    return join(this.folder, "snapshots");
  }

  snapshot(commit: string): string {
    return join(this.snapshots, commit);
  }

  file(commit: string, name: string): string {
    return join(this.snapshot(commit), name);
  }

  get refs(): string {
    return join(this.folder, "refs");
  }

  absence(commit: string, name: string): string {
    return join(this.folder, ".no_exist", commit, name);
  }

  /** The commit that the revision pointed to when the hub was last asked. Undefined: the hub was never asked. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await readFile(join(this.refs, revision), "utf8").catch(() => "");
    const commit = text.trim();
    return isCommit(commit) ? commit : undefined;
  }

  /** Whether the snapshot has the file. A link without its content does not count. */
  async has(commit: string, name: string): Promise<boolean> {
    return isFile(this.file(commit, name));
  }

  /** Those of `names` that the commit is known not to have. */
  async knownAbsent(commit: string, names: readonly string[]): Promise<ReadonlySet<string>> {
    const tree = await this.#tree(commit);
    const absent = await Promise.all(
      names.map(async (name) =>
        tree === undefined ? isFile(this.absence(commit, name)) : !Object.hasOwn(tree, name),
      ),
    );
    return new Set(names.filter((_, i) => absent[i]));
  }

  async #tree(commit: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    const path = join(this.folder, "trees", `${commit}.json`);
    try {
      if ((await stat(path)).size > TREE_BYTES_MAX) return undefined;
      const parsed = treeSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
      return parsed.success ? parsed.data.files : undefined;
    } catch {
      return undefined;
    }
  }
}

const FOLDER_PREFIX = "models--";

export function folderName(id: string): string {
  return FOLDER_PREFIX + id.replaceAll("/", "--");
}

/** The inverse of `folderName`. Undefined: the folder does not belong to a model. */
export function repositoryOf(folder: string): string | undefined {
  if (!folder.startsWith(FOLDER_PREFIX)) return undefined;
  return folder.slice(FOLDER_PREFIX.length).replaceAll("--", "/");
}

/** True for a regular file and for a link to one. */
export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isFile(),
    () => false,
  );
}
