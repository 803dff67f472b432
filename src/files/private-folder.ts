// Private folders. The software trusts their content: it computes with the weights, runs the code, accepts the keys. So a
// private folder must belong to this user, be closed to everybody else, be no link, and lie where nobody else can replace it.
// If one of these fails, the folder is not repaired, because its content may already be somebody else's. The user is warned,
// and the folder is not used. Systems without owners and modes, such as Windows, protect a user's folders themselves.
import { lstatSync, mkdirSync, readlinkSync, type Stats } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { messageOf } from "../errors.ts";

/** The reason why a folder is not used. */
export interface Unfit {
  /** A clause that begins with a path. */
  readonly reason: string;
  readonly remedy: string;
  /** Whether the folder exists and somebody else controls it. */
  readonly isUnsafe: boolean;
}

const OTHERS_MAY_WRITE = 0o022;
const OTHERS_MAY_ANYTHING = 0o077;
const STICKY = 0o1000;
const ROOT = 0;
/** The number of links that Linux follows. */
const LINKS_MAX = 40;

/** The user id of this process; undefined: the system has none. */
export function ownUser(): number | undefined {
  return process.geteuid?.();
}

/** Creates a folder and its missing parents. @returns the reason why it cannot be used; undefined: it can */
export function makePrivateFolder(path: string): Unfit | undefined {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code = messageOf(error) } = error as NodeJS.ErrnoException;
    // Something else has the name: a file, or a link that leads nowhere.
    return { reason: `${path} cannot be made (${code})`, remedy: OTHER_FOLDER, isUnsafe: false };
  }
  return inspectPrivateFolder(path);
}

const OTHER_FOLDER = "Set XDG_CACHE_HOME to a folder of this user";

/** Checks a folder that exists. @returns the reason why it cannot be used; undefined: it can */
export function inspectPrivateFolder(path: string): Unfit | undefined {
  if (!isAbsolute(path))
    return { reason: `${path} is no absolute path`, remedy: OTHER_FOLDER, isUnsafe: false };
  const uid = ownUser();
  try {
    return inspectItself(path, uid) ?? (uid === undefined ? undefined : inspectWay(dirname(path), uid));
  } catch (error) {
    const { code = messageOf(error) } = error as NodeJS.ErrnoException;
    return { reason: `${path} cannot be looked at (${code})`, remedy: OTHER_FOLDER, isUnsafe: false };
  }
}

function inspectItself(path: string, uid: number | undefined): Unfit | undefined {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink())
    return unsafe(`${path} is a symbolic link`, `Remove it, or ${lower(OTHER_FOLDER)}`);
  if (!stats.isDirectory()) return unsafe(`${path} is not a folder`, `Remove it, or ${lower(OTHER_FOLDER)}`);
  if (uid === undefined) return undefined;
  if (stats.uid !== uid) {
    return unsafe(
      `${path} belongs to user ${stats.uid}, and this is user ${uid}`,
      `${OTHER_FOLDER}, or remove it`,
    );
  }
  if ((stats.mode & OTHERS_MAY_ANYTHING) === 0) return undefined;
  return unsafe(`${path} is open to others (mode ${octal(stats)})`, `Run: chmod 700 ${path}`);
}

/** The folder and all its parents: whoever can write in one of them can replace the next. */
function inspectWay(path: string, uid: number): Unfit | undefined {
  let at = "/";
  let numLinks = 0;
  const names = path.split("/");
  for (let stats = lstatSync(at); ; ) {
    const unfit = inspectStep(at, stats, uid);
    if (unfit !== undefined) return unfit;
    const name = names.shift();
    if (name === undefined) return undefined;
    const next = join(at, name);
    stats = lstatSync(next);
    if (stats.isSymbolicLink()) {
      if (!isTrusted(stats, uid)) return unsafe(`${next} is a link of user ${stats.uid}`, OTHER_FOLDER);
      if (++numLinks > LINKS_MAX) return unsafe(`${path} goes through too many links`, OTHER_FOLDER);
      const target = readlinkSync(next);
      names.unshift(...target.split("/"));
      if (isAbsolute(target)) at = "/";
      stats = lstatSync(at);
    } else {
      at = next;
    }
  }
}

function inspectStep(path: string, stats: Stats, uid: number): Unfit | undefined {
  if (!isTrusted(stats, uid)) return unsafe(`${path}, above it, belongs to user ${stats.uid}`, OTHER_FOLDER);
  // In a sticky folder such as /tmp everybody can create files, but nobody can move the files of others.
  if ((stats.mode & OTHERS_MAY_WRITE) === 0 || (stats.mode & STICKY) !== 0) return undefined;
  return unsafe(
    `${path}, above it, may be written by others (mode ${octal(stats)})`,
    `Run: chmod go-w ${path}`,
  );
}

function isTrusted({ uid }: Stats, own: number): boolean {
  return uid === own || uid === ROOT;
}

function unsafe(reason: string, remedy: string): Unfit {
  return { reason, remedy, isUnsafe: true };
}

function octal({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

function lower(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

/** Whether only this user can have written a file. It takes an open file, so that the file checked is the file read. */
export function isOwnFile(stats: Stats): boolean {
  const uid = ownUser();
  if (!stats.isFile()) return false;
  return uid === undefined || (stats.uid === uid && (stats.mode & OTHERS_MAY_WRITE) === 0);
}
