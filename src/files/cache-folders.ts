// The user's cache folder. Its content may be deleted at any time, and only the user may read and write it. If no such folder
// can be made, the software runs without a cache and warns once.
import { isAbsolute, join } from "node:path";
import type { Settings } from "../settings.ts";
import { type Environment, homeFolder } from "./home-folder.ts";
import { makePrivateFolder, type Unfit } from "./private-folder.ts";

export type { Environment } from "./home-folder.ts";

const NAME = "gpt2-api";

/** The kinds of content, each in a folder of its own: key pair, quantised weights, compiled JavaScript. */
export type CachePart = "keys" | "weights" | "code";

/** `$XDG_CACHE_HOME/gpt2-api`, by default under `~/.cache`; or the reason why there is no such path. */
export function cachePath(env: Environment): { readonly path: string } | Unfit {
  const given = env.XDG_CACHE_HOME ?? "";
  // The XDG base directory specification says that relative paths are ignored.
  if (isAbsolute(given)) return { path: join(given, NAME) };
  const home = homeFolder(env);
  if ("path" in home) return { path: join(home.path, ".cache", NAME) };
  return {
    reason: home.reason,
    remedy: "Set HOME or XDG_CACHE_HOME to a folder of this user",
    isUnsafe: false,
  };
}

/** The folder of one kind of content, inside the cache folder. The key pair lies in the cache folder itself. */
export function partPath(cache: string, part: CachePart): string {
  return part === "keys" ? cache : join(cache, part);
}

/** A private folder, created if it is missing; or the reason why it cannot be used. */
export function cacheFolder(env: Environment, part: CachePart): { readonly path: string } | Unfit {
  const cache = cachePath(env);
  if (!("path" in cache)) return cache;
  const path = partPath(cache.path, part);
  return makePrivateFolder(cache.path) ?? makePrivateFolder(path) ?? { path };
}

/** The reasons of which the operator was warned. */
const reported = new Set<string>();

/** Warns that nothing is kept, once per process for each reason. */
export function warnUnfit({ reason }: Unfit, onProblem: (message: string) => void): void {
  if (reported.has(reason)) return;
  reported.add(reason);
  onProblem(`Nothing is kept between starts: ${reason}`);
}

/** The folder for quantised weights; undefined: none. `onProblem` gets the reason, unless a setting turned it off. */
export function weightCacheOf(
  { weightCacheMb }: Pick<Settings, "weightCacheMb">,
  env: Environment,
  onProblem: (message: string) => void,
): { readonly directory: string; readonly maxBytes: number } | undefined {
  if (weightCacheMb === 0) return undefined;
  const folder = cacheFolder(env, "weights");
  if ("path" in folder) return { directory: folder.path, maxBytes: weightCacheMb * 2 ** 20 };
  warnUnfit(folder, onProblem);
  return undefined;
}
