// The user's home folder, if there is one. A user without an entry in the system's list has none. HOME may also be empty or
// relative, which would turn the current folder into a home.
import { homedir } from "node:os";
import { isAbsolute } from "node:path";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The path, or the reason why there is none. */
export type HomeFolder = { readonly path: string } | { readonly reason: string };

export function homeFolder({ HOME }: Environment): HomeFolder {
  if (HOME !== undefined && !isAbsolute(HOME)) {
    return { reason: HOME === "" ? "HOME is empty" : "HOME is no absolute path" };
  }
  try {
    const path = HOME ?? homedir();
    return isAbsolute(path) ? { path } : { reason: "this user has no home folder" };
  } catch {
    return { reason: "HOME is not set, and this user has no home folder" };
  }
}
