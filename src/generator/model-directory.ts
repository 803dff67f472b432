// Where a model lies: a directory, the name of one that is shipped in `models/`, or a repository of a hub. Nothing is
// fetched here; `find-model.ts` does.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { GptError, messageOf } from "../errors.ts";
import { homeFolder } from "../files/home-folder.ts";
import { repositoryOf } from "../hub/cached-repository.ts";
import { canonicalId, isCommit, parseRepository, type Repository, shortName } from "../hub/repository.ts";

/** The root of the package: the nearest directory above this file that holds package.json. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json"))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error("package.json was not found above this file");
    directory = parent;
  }
  return directory;
}

/** Of this software. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Where a model is: in a directory of this machine, or in a repository of a hub and perhaps its cache. */
export type ModelPlace = { readonly directory: string } | { readonly repository: Repository };

/** Paths, which never become a request: a mistyped one must not leave this machine. */
const PATH = /^[/.~]|^[A-Za-z]:|\/$|\\/;

/**
 * What a model's name or path stands for: a path is a directory; a name is a model that is shipped, or else a directory
 * of that name, or else a repository.
 * @throws GptError `invalid_checkpoint` when there is no such directory, or it can be no name
 */
export function placeOf(nameOrPath: string): ModelPlace {
  const path = resolve(nameOrPath.replace(/^~(?=[\\/]|$)/, () => home(nameOrPath)));
  if (PATH.test(nameOrPath)) {
    if (isDirectory(path)) return { directory: checkpointIn(path) };
    throw new GptError(
      "invalid_checkpoint",
      `model ${JSON.stringify(nameOrPath)}: there is no such directory`,
    );
  }
  const models = join(packageRoot(), "models");
  const shipped = isDirectory(models) ? readdirSync(models) : [];
  if (shipped.includes(nameOrPath)) return { directory: join(models, nameOrPath) };
  if (isDirectory(path)) return { directory: checkpointIn(path) };
  try {
    return { repository: parseRepository(nameOrPath) };
  } catch (cause) {
    const names = shipped.map((name) => `"${name}"`).join(", ");
    throw new GptError(
      "invalid_checkpoint",
      `model ${JSON.stringify(nameOrPath)} is neither a directory nor a model that is shipped (${names}), and ` +
        messageOf(cause),
      { cause },
    );
  }
}

/** A directory, or the only one in it that holds a checkpoint: archives are often made of a folder, not of its files. */
function checkpointIn(directory: string): string {
  const holdsOne = (folder: string): boolean => existsSync(join(folder, "config.json"));
  if (holdsOne(directory)) return directory;
  const [inner, ...others] = folderNames(directory)
    .map((name) => join(directory, name))
    .filter(holdsOne);
  return inner !== undefined && others.length === 0 ? inner : directory;
}

/** None of a directory that cannot be read; whoever opens it says so. */
function folderNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Equal for names of the same place. */
export function placeKey(nameOrPath: string): string {
  const place = placeOf(nameOrPath);
  if ("directory" in place) return place.directory;
  const { id, revision } = place.repository;
  return `${canonicalId(id)}@${revision}`;
}

/**
 * The directory of a model that is on this machine by itself, which those of a hub are not.
 * @throws GptError `invalid_checkpoint`
 */
export function resolveModelDirectory(nameOrPath: string): string {
  const place = placeOf(nameOrPath);
  if ("directory" in place) return place.directory;
  const message = `model "${nameOrPath}" is neither a directory nor a model that is shipped`;
  throw new GptError("invalid_checkpoint", message);
}

/** The name by which a model's directory is spoken of; a snapshot in the hub's cache is called after its repository. */
export function modelName(directory: string): string {
  const path = resolve(directory);
  const id = isCommit(basename(path)) ? repositoryOf(basename(dirname(dirname(path)))) : undefined;
  return id === undefined ? basename(path) : shortName(id);
}

function home(nameOrPath: string): string {
  const folder = homeFolder({});
  if ("path" in folder) return folder.path;
  throw new GptError("invalid_checkpoint", `model ${JSON.stringify(nameOrPath)}: ${folder.reason}`);
}
