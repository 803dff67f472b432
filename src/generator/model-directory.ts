// Where a model is: in a directory, among the models shipped in `models/`, or in a repository on a hub. Nothing is fetched
// here; `find-model.ts` does that.
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

/** The version of this software. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** A directory of this machine, or a repository on a hub, which may be in the cache. */
export type ModelPlace = { readonly directory: string } | { readonly repository: Repository };

/** Names that can only be paths. They never become a request to a hub, so a mistyped path does not leave this machine. */
const PATH = /^[/.~]|^[A-Za-z]:|\/$|\\/;

/**
 * What a model's name or path stands for. A path is a directory. A name is a shipped model, otherwise a directory of that
 * name, otherwise a repository.
 * @throws GptError `invalid_checkpoint` when there is no such directory, or the text cannot be a name
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

/**
 * The directory itself, or the only folder in it that holds a checkpoint: unpacking an archive often leaves one folder that
 * holds everything.
 */
function checkpointIn(directory: string): string {
  const holdsOne = (folder: string): boolean => existsSync(join(folder, "config.json"));
  if (holdsOne(directory)) return directory;
  const [inner, ...others] = folderNames(directory)
    .map((name) => join(directory, name))
    .filter(holdsOne);
  return inner !== undefined && others.length === 0 ? inner : directory;
}

/** Empty for a directory that cannot be read. The attempt to load it will report that. */
function folderNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** A key that is equal for different names of the same place. */
export function placeKey(nameOrPath: string): string {
  const place = placeOf(nameOrPath);
  if ("directory" in place) return place.directory;
  const { id, revision } = place.repository;
  return `${canonicalId(id)}@${revision}`;
}

/**
 * The directory of a model that does not come from a hub.
 * @throws GptError `invalid_checkpoint`
 */
export function resolveModelDirectory(nameOrPath: string): string {
  const place = placeOf(nameOrPath);
  if ("directory" in place) return place.directory;
  const message = `model "${nameOrPath}" is neither a directory nor a model that is shipped`;
  throw new GptError("invalid_checkpoint", message);
}

/** The short name of a model's directory. A snapshot in the hub's cache has the name of its repository. */
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
