// Which key pair the server accepts: the one in the environment, or one of its own that is made on the first start
// and kept in the user's cache directory, readable by that user alone.
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { GptError, messageOf } from "../../errors.ts";
import { cacheDirectory, type Environment } from "../../files/cache-folders.ts";
import type { Credential } from "../../sigv4/index.ts";

export type { Environment } from "../../files/cache-folders.ts";

export interface LoadedCredential {
  readonly credential: Credential;
  /** The file it lies in; undefined: it came from the environment. */
  readonly path?: string;
}

/** @throws GptError `invalid_config` when only half of a pair is set, or the file is unusable. */
export function loadCredential(env: Environment): LoadedCredential {
  const credential = credentialFrom(env);
  if (credential !== undefined) return { credential };
  const path = credentialsPath(env);
  return { credential: makeCredential(path) ?? readCredential(path), path };
}

export function credentialsPath(env: Environment): string {
  return join(cacheDirectory(env), "credentials.json");
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

const storedSchema = z.object({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) });

/** Makes and stores a pair; undefined when there is one already. */
function makeCredential(path: string): Credential | undefined {
  // The form of AWS's own: 20 letters and digits, and 40 characters that need no quoting in a shell.
  const accessKeyId = `GPT2${randomBytes(8).toString("hex").toUpperCase()}`;
  const credential = { accessKeyId, secretAccessKey: randomBytes(30).toString("base64url") };
  let isOurs = false;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "wx", 0o600));
    isOurs = true;
    writeFileSync(path, `${JSON.stringify(credential, null, 2)}\n`);
    return credential;
  } catch (error) {
    // What a full disk left of it would be in the way of the next start.
    if (isOurs) rmSync(path, { force: true });
    else if (existsSync(path)) return undefined;
    const message = `${path}: a key pair could not be stored (${messageOf(error)}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead`;
    throw new GptError("invalid_config", message, { cause: error });
  }
}

function readCredential(path: string): Credential {
  const mode = statSync(path).mode & 0o777;
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    const octal = mode.toString(8).padStart(4, "0");
    throw new GptError(
      "invalid_config",
      `${path} must be readable by its owner alone (mode 0600), and its mode is ${octal}`,
    );
  }
  try {
    return storedSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    const message = `${path} does not hold a key pair; delete it, and the next start makes a new one`;
    throw new GptError("invalid_config", message, { cause });
  }
}
