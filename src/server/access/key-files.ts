// The files that hold keys: key pairs for SigV4, hashed API keys for bearer authentication, each with the endpoints it
// may invoke. Both are JSON and are read again when they change.
import { z } from "zod";
import { WatchedFile } from "../../files/watched-file.ts";
import { ENDPOINT_NAME, ENDPOINT_NAME_MAX } from "../../settings.ts";
import type { ApiKey, KeyPair } from "./authentication.ts";

const endpoints = z.array(z.string().max(ENDPOINT_NAME_MAX).regex(ENDPOINT_NAME)).optional();

const keyPair = z.strictObject({
  accessKeyId: z.string().min(1).max(128),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).optional(),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  endpoints,
});

const apiKey = z.strictObject({
  id: z.string().min(1).max(128),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  endpoints,
});

/** `{"keys": [{"accessKeyId", "secretAccessKey", "sessionToken"?, "expiresAt"?, "endpoints"?}]}`; or one pair alone. */
export function keyPairsFrom(path: string, onProblem: (message: string) => void) {
  const file = new WatchedFile(
    path,
    (text) => {
      const pairs = parse(text, z.union([z.strictObject({ keys: z.array(keyPair) }), keyPair]));
      const list = "keys" in pairs ? pairs.keys : [pairs];
      return byName(list.map(credentialOf), ({ accessKeyId }) => accessKeyId);
    },
    onProblem,
  );
  return (accessKeyId: string): KeyPair | undefined => file.content.get(accessKeyId);
}

/** `{"keys": [{"id", "sha256", "endpoints"?}]}`. */
export function apiKeysFrom(path: string, onProblem: (message: string) => void) {
  const file = new WatchedFile(
    path,
    (text) =>
      byName(parse(text, z.strictObject({ keys: z.array(apiKey) })).keys as ApiKey[], ({ sha256 }) => sha256),
    onProblem,
  );
  return (sha256: string): ApiKey | undefined => file.content.get(sha256);
}

function credentialOf({ expiresAt, sessionToken, ...pair }: z.output<typeof keyPair>): KeyPair {
  return {
    ...pair,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }),
  };
}

function byName<T>(list: readonly T[], nameOf: (entry: T) => string): ReadonlyMap<string, T> {
  const map = new Map(list.map((entry) => [nameOf(entry), entry]));
  if (map.size < list.length) throw new Error("a key stands in it twice");
  return map;
}

/** Says where a text is wrong and what was expected there, never what stands there: that may be a secret. */
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
