// Compiled JavaScript is kept in the user's cache folder, so that the next start need not compile it again. Node checks
// by itself that an entry belongs to the file and to its own version, and does without where it cannot read or write.
import { mkdirSync } from "node:fs";
import * as module from "node:module";
import { join } from "node:path";
import { cacheDirectory, type Environment } from "../files/cache-folders.ts";

/** To be called before other modules are loaded; Node 22 and later. */
export function keepCompiledCode(env: Environment): void {
  const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };
  // A folder that the user named is in force already.
  if (enableCompileCache === undefined || env.NODE_COMPILE_CACHE) return;
  const directory = join(cacheDirectory(env), "code");
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 }); // Whoever writes here decides what runs.
    enableCompileCache(directory);
  } catch {}
}
