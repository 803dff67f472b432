// The server's own key pair: the one in the environment, or else one that is made at the first start and stored in the
// user's cache folder, readable by that user only. If it cannot be stored, it is valid for this run only.
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { GptError, messageOf } from "../../errors.ts";
import { cacheFolder, type Environment } from "../../files/cache-folders.ts";
import { isOwnFile } from "../../files/private-folder.ts";
import type { Credential } from "../../sigv4/index.ts";

export type { Environment } from "../../files/cache-folders.ts";

/** Where a key pair is stored. */
export type PairPlace =
  | { readonly kind: "environment" }
  | { readonly kind: "file"; readonly path: string }
  /** Not stored: it was made for this run and ends with it. */
  | { readonly kind: "nowhere"; readonly reason: string };

export interface LoadedCredential {
  readonly credential: Credential;
  readonly place: PairPlace;
}

/** @throws GptError `invalid_config` when only half of a pair is set, or the file is unusable. */
export function loadCredential(env: Environment): LoadedCredential {
  const credential = credentialFrom(env);
  if (credential !== undefined) return { credential, place: { kind: "environment" } };
  const folder = cacheFolder(env, "keys");
  if (!("path" in folder)) {
    return { credential: newCredential(), place: { kind: "nowhere", reason: folder.reason } };
  }
  const path = credentialsPath(folder.path);
  const kept = readCredential(path);
  if (kept !== undefined) return { credential: kept, place: { kind: "file", path } };
  const made = newCredential();
  const reason = keepCredential(made, path);
  if (reason !== undefined) return { credential: made, place: { kind: "nowhere", reason } };
  // Another process may have stored its pair first. All of them use the stored one.
  return { credential: readCredential(path) ?? made, place: { kind: "file", path } };
}

/** For commands that need the same pair as the server. @throws GptError `invalid_config` if pairs cannot be stored. */
export function requireKept({ credential, place }: LoadedCredential): Credential {
  if (place.kind === "nowhere") throw notKept(place.reason);
  return credential;
}

export function notKept(reason: string): GptError {
  return new GptError(
    "invalid_config",
    `A key pair cannot be stored (${reason}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`,
  );
}

/** `folder`: the cache folder. */
export function credentialsPath(folder: string): string {
  return join(folder, "credentials.json");
}

/** The key pair of the environment, if there is one. */
export function credentialFrom(env: Environment): Credential | undefined {
  const accessKeyId = env.AWS_ACCESS_KEY_ID || undefined;
  const secretAccessKey = env.AWS_SECRET_ACCESS_KEY || undefined;
  const sessionToken = env.AWS_SESSION_TOKEN || undefined;
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new GptError(
      "invalid_config",
      "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together, and only one of them is set",
    );
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

/** In the form of AWS's keys: an id of 20 letters and digits, and a secret of 40 characters that need no quotes in a shell. */
function newCredential(): Credential {
  return {
    accessKeyId: `GPT2${randomBytes(8).toString("hex").toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString("base64url"),
  };
}

/**
 * Stores a pair atomically, and only if there is none. It is written to a temporary file, which is then linked to its name;
 * a link never replaces a file. So if several processes start at once, one wins, and none reads half a file.
 * @returns why it could not be stored; undefined if a pair is stored now, this one or another
 */
function keepCredential(credential: Credential, path: string): string | undefined {
  const beside = `${path}.${process.pid}-${randomBytes(8).toString("hex")}`;
  try {
    const fd = openSync(beside, "wx", 0o600);
    try {
      writeFileSync(fd, `${JSON.stringify(credential, null, 2)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    linkSync(beside, path);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    return `${path} could not be stored: ${messageOf(error)}`;
  } finally {
    rmSync(beside, { force: true });
  }
}

const storedSchema = z.object({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) });
/** Does not follow a symbolic link, and does not block on a pipe. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
const OTHERS_MAY_READ = 0o044;

/** @returns undefined if there is none. @throws GptError `invalid_config` for a file that others could have written or read. */
function readCredential(path: string): Credential | undefined {
  let fd: number;
  try {
    fd = openSync(path, FLAGS);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unusable(path, `cannot be read (${messageOf(error)})`, error);
  }
  try {
    const stats = fstatSync(fd);
    const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
    const isRead = process.platform !== "win32" && (stats.mode & OTHERS_MAY_READ) !== 0;
    if (!isOwnFile(stats) || isRead) {
      throw unusable(path, `must be a file of this user that nobody else can use (its mode is ${mode})`);
    }
    return storedSchema.parse(JSON.parse(readFileSync(fd, "utf8")));
  } catch (error) {
    throw error instanceof GptError ? error : unusable(path, "does not hold a key pair", error);
  } finally {
    closeSync(fd);
  }
}

function unusable(path: string, what: string, cause?: unknown): GptError {
  const message = `${path} ${what}; delete it, and the next start makes a new one`;
  return new GptError("invalid_config", message, { cause });
}
