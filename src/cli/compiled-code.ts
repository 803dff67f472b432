// Keeps compiled JavaScript in the user's cache folder, so that the next start does not compile it again. Node itself
// checks that an entry belongs to the file and to its own version. If it cannot read or write, it works without.
import * as module from "node:module";
import { cacheFolder, type Environment, warnUnfit } from "../files/cache-folders.ts";

/**
 * Call it before other modules are imported. It needs Node 22 or later; without, or where the folder cannot be used, the
 * next start only takes longer. `onProblem` is called when other users could have written to the folder.
 */
export function keepCompiledCode(env: Environment, onProblem: (message: string) => void): void {
  const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };
  // Node already uses the folder that the user named.
  if (enableCompileCache === undefined || env.NODE_COMPILE_CACHE) return;
  const folder = cacheFolder(env, "code");
  if ("path" in folder) enableCompileCache(folder.path);
  else if (folder.isUnsafe) warnUnfit(folder, onProblem);
}
