// The files that hold keys: key pairs for SigV4, and hashed API keys for bearer authentication, each with the endpoints it
// may invoke. Both are JSON, and are read again when they change. If a file is deleted, its keys are no longer valid. If it
// cannot be used, half-written for example, the last good keys stay valid for a while.
import { z } from "zod";
import { WatchedFile, type WatchedFileOptions } from "../../files/watched-file.ts";
import { ENDPOINT_NAME, ENDPOINT_NAME_MAX, type Settings } from "../../settings.ts";
import type { ApiKey, KeyPair, Permission } from "./authentication.ts";

const endpoints = z.array(z.string().max(ENDPOINT_NAME_MAX).regex(ENDPOINT_NAME)).optional();

const keyPairEntry = z.strictObject({
  accessKeyId: z.string().min(1).max(128),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).optional(),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  endpoints,
});

/** An API key's entry in the file. */
export const apiKeyEntry = z.strictObject({
  id: z.string().min(1).max(128),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  endpoints,
});

export type KeyFileOptions = Pick<Settings, "keyFileGraceMs"> &
  Pick<WatchedFileOptions<unknown>, "onProblem" | "elapsed">;

/** The keys of a file, by what a request is looked up with: the access key id or the hash. */
export type KeyFile<T> = WatchedFile<ReadonlyMap<string, T>>;

/**
 * Reads `{"keys": [{"accessKeyId", "secretAccessKey", "sessionToken"?, "expiresAt"?, "endpoints"?}]}`, or a single pair
 * without the list. A key without `endpoints` may invoke all of them.
 * @throws GptError `invalid_config` when the file cannot be used from the start.
 */
export function keyPairFile(path: string, options: KeyFileOptions): KeyFile<KeyPair> {
  const schema = z.union([z.strictObject({ keys: z.array(keyPairEntry) }), keyPairEntry]);
  return keyFile(path, "--credentials-file", options, (text) => {
    const pairs = parse(text, schema);
    const list = "keys" in pairs ? pairs.keys : [pairs];
    return byName(list.map(keyPairOf), ({ accessKeyId }) => accessKeyId);
  });
}

/**
 * Reads `{"keys": [{"id", "sha256", "endpoints"?}]}`. The keys are found by the hash.
 * @throws GptError `invalid_config` when the file cannot be used from the start.
 */
export function apiKeyFile(path: string, options: KeyFileOptions): KeyFile<ApiKey> {
  const schema = z.strictObject({ keys: z.array(apiKeyEntry) });
  return keyFile(path, "--api-keys-file", options, (text) => {
    const keys = parse(text, schema).keys.map((entry) => ({ ...entry, endpoints: permissionOf(entry) }));
    return byName(keys, ({ sha256 }) => sha256);
  });
}

function keyFile<T>(
  path: string,
  flag: "--credentials-file" | "--api-keys-file",
  { keyFileGraceMs, onProblem, elapsed = () => performance.now() }: KeyFileOptions,
  parseKeys: (text: string) => ReadonlyMap<string, T>,
): KeyFile<T> {
  return new WatchedFile({
    path,
    flag,
    parse: parseKeys,
    withoutFile: { content: new Map(), graceMs: keyFileGraceMs },
    isSecret: flag === "--credentials-file", // The file of API keys has only hashes.
    onProblem,
    elapsed,
  });
}

function keyPairOf(entry: z.output<typeof keyPairEntry>): KeyPair {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = entry;
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }),
    endpoints: permissionOf(entry),
  };
}

/** The only place where an absent field means all endpoints. */
function permissionOf(entry: { readonly endpoints?: readonly string[] | undefined }): Permission {
  return entry.endpoints === undefined ? "*" : new Set(entry.endpoints);
}

function byName<T>(list: readonly T[], nameOf: (entry: T) => string): ReadonlyMap<string, T> {
  const map = new Map(list.map((entry) => [nameOf(entry), entry]));
  if (map.size < list.length) throw new Error("a key occurs in it twice");
  return map;
}

/** Errors say where the file is wrong and what was expected, but never quote it, because it may hold a secret. */
function parse<T>(text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("it is not JSON");
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const place = issue?.path.length ? `${issue.path.join(".")}: ` : "";
  throw new Error(`${place}${issue?.message ?? "it does not have the form of a key file"}`);
}
