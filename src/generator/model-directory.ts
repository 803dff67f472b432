// Where a model lies: a directory, or the name of one that is shipped in `models/`.
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { GptError } from "../errors.ts";

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

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** @throws GptError `invalid_checkpoint` when it is neither a directory nor a shipped model's name. */
export function resolveModelDirectory(nameOrDirectory: string): string {
  const models = join(packageRoot(), "models");
  const known = isDirectory(models) ? readdirSync(models) : [];
  // A folder that happens to be called like a shipped model is reached as a path, ./NAME.
  if (known.includes(nameOrDirectory)) return join(models, nameOrDirectory);
  const path = resolve(nameOrDirectory);
  if (isDirectory(path)) return path;
  const names = known.map((name) => `"${name}"`).join(", ");
  const message = `model "${nameOrDirectory}" is neither a directory nor a model that is shipped (${names})`;
  throw new GptError("invalid_checkpoint", message);
}

/** The name by which a model's directory is spoken of. */
export function modelName(directory: string): string {
  return basename(resolve(directory));
}
