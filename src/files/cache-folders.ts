// The user's cache folder: what lies there may be deleted at any time, and only the user may read it.
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { Settings } from "../settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** `$XDG_CACHE_HOME/gpt2-api`, by default under `~/.cache`. */
export function cacheDirectory(env: Environment): string {
  const given = env.XDG_CACHE_HOME ?? "";
  // The XDG base directory specification wants relative paths ignored.
  return join(isAbsolute(given) ? given : join(homedir(), ".cache"), "gpt2-api");
}

/** Where packed weights are kept; undefined: nowhere. */
export function weightCacheOf(
  { weightCacheMb }: Settings,
  env: Environment,
): { directory: string; maxBytes: number } | undefined {
  if (weightCacheMb === 0) return undefined;
  return { directory: join(cacheDirectory(env), "weights"), maxBytes: weightCacheMb * 2 ** 20 };
}
