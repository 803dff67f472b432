// Folders that are ours alone. What lies in one is believed: weights are computed with, code is run, keys open doors. So it
// must belong to this user, be open to nobody else, be no link, and stand where nobody else can put another in its place.
// Where that does not hold nothing is mended, because what lies there already may be somebody else's: it is said, and done
// without. Systems without owners and modes, such as Windows, keep a user's folders private by themselves.
import { lstatSync, mkdirSync, readlinkSync, type Stats } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { messageOf } from "../errors.ts";

/** Why a folder is not used. */
export interface Unfit {
  /** A clause that begins with a path. */
  readonly reason: string;
  readonly remedy: string;
  /** Whether it is there, and in somebody else's hands. */
  readonly isUnsafe: boolean;
}

const OTHERS_MAY_WRITE = 0o022;
const OTHERS_MAY_ANYTHING = 0o077;
const STICKY = 0o1000;
const ROOT = 0;
/** As many as Linux follows. */
const LINKS_MAX = 40;

/** The user whose files are ours; undefined: the system has no such numbers. */
export function ownUser(): number | undefined {
  return process.geteuid?.();
}

/** Makes a folder, and those above it, unless they are there. @returns why it cannot be used; undefined: it can */
export function makePrivateFolder(path: string): Unfit | undefined {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code = messageOf(error) } = error as NodeJS.ErrnoException;
    // What is in the way may be a file, or a link that leads nowhere.
    return { reason: `${path} cannot be made (${code})`, remedy: OTHER_FOLDER, isUnsafe: false };
  }
  return inspectPrivateFolder(path);
}

const OTHER_FOLDER = "Set XDG_CACHE_HOME to a folder of this user";

/** Looks at a folder that is there. @returns why it cannot be used; undefined: it can */
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

/** The folders on the way to a folder, and that one: who may write in one of them may put another in the place of the next. */
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
  // In a sticky folder, as /tmp is, everybody may make files and nobody may move those of others.
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

/** Whether a file can have been written by this user alone; of an open one, so that it is the one that is read. */
export function isOwnFile(stats: Stats): boolean {
  const uid = ownUser();
  if (!stats.isFile()) return false;
  return uid === undefined || (stats.uid === uid && (stats.mode & OTHERS_MAY_WRITE) === 0);
}
