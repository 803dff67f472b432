// Compiled JavaScript is kept in the user's cache folder, so that the next start need not compile it again. Node checks
// by itself that an entry belongs to the file and to its own version, and does without where it cannot read or write.
import * as module from "node:module";
import { cacheFolder, type Environment, tellUnfit } from "../files/cache-folders.ts";

/**
 * To be called before other modules are loaded; Node 22 and later. Where code cannot be kept the next start only takes
 * longer; `onProblem` is told where somebody else could have put it there.
 */
export function keepCompiledCode(env: Environment, onProblem: (message: string) => void): void {
  const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };
  // A folder that the user named is in force already.
  if (enableCompileCache === undefined || env.NODE_COMPILE_CACHE) return;
  const folder = cacheFolder(env, "code");
  if ("path" in folder) enableCompileCache(folder.path);
  else if (folder.isUnsafe) tellUnfit(folder, onProblem);
}
