// The user's cache folder: what lies there may be deleted at any time, and only the user may read and write it. Where there
// can be no such folder the software does without, and says so once.
import { isAbsolute, join } from "node:path";
import type { Settings } from "../settings.ts";
import { type Environment, homeFolder } from "./home-folder.ts";
import { makePrivateFolder, type Unfit } from "./private-folder.ts";

export type { Environment } from "./home-folder.ts";

const NAME = "gpt2-api";

/** What is kept in it, each in a folder of its own: key pair, quantised weights, compiled JavaScript. */
export type CachePart = "keys" | "weights" | "code";

/** `$XDG_CACHE_HOME/gpt2-api`, by default under `~/.cache`; or why it can be nowhere. */
export function cachePath(env: Environment): { readonly path: string } | Unfit {
  const given = env.XDG_CACHE_HOME ?? "";
  // The XDG base directory specification wants relative paths ignored.
  if (isAbsolute(given)) return { path: join(given, NAME) };
  const home = homeFolder(env);
  if ("path" in home) return { path: join(home.path, ".cache", NAME) };
  return {
    reason: home.reason,
    remedy: "Set HOME or XDG_CACHE_HOME to a folder of this user",
    isUnsafe: false,
  };
}

/** The folder of a part below that of the cache. The key pair lies in the cache's folder itself. */
export function partPath(cache: string, part: CachePart): string {
  return part === "keys" ? cache : join(cache, part);
}

/** A private folder, made if need be; or why there can be none. */
export function cacheFolder(env: Environment, part: CachePart): { readonly path: string } | Unfit {
  const cache = cachePath(env);
  if (!("path" in cache)) return cache;
  const path = partPath(cache.path, part);
  return makePrivateFolder(cache.path) ?? makePrivateFolder(path) ?? { path };
}

/** Sentences that were told. */
const told = new Set<string>();

/** Says, once in the life of the process for each reason, that nothing is kept. */
export function tellUnfit({ reason }: Unfit, onProblem: (message: string) => void): void {
  if (told.has(reason)) return;
  told.add(reason);
  onProblem(`Nothing is kept between starts: ${reason}`);
}

/** Where quantised weights are kept; undefined: nowhere. `onProblem` is told why, where that is not a setting. */
export function weightCacheOf(
  { weightCacheMb }: Settings,
  env: Environment,
  onProblem: (message: string) => void,
): { readonly directory: string; readonly maxBytes: number } | undefined {
  if (weightCacheMb === 0) return undefined;
  const folder = cacheFolder(env, "weights");
  if ("path" in folder) return { directory: folder.path, maxBytes: weightCacheMb * 2 ** 20 };
  tellUnfit(folder, onProblem);
  return undefined;
}
