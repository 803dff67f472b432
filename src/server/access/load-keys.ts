// Finds the keys that a server accepts, from its settings and environment: key pairs for SigV4, API keys for bearer
// authentication, or none if the operator asked for that explicitly.
import { GptError } from "../../errors.ts";
import type { WatchedFile } from "../../files/watched-file.ts";
import type { Settings } from "../../settings.ts";
import type { Credential } from "../../sigv4/index.ts";
import type { Keys } from "./authentication.ts";
import { apiKeyFile, keyPairFile } from "./key-files.ts";
import { credentialFrom, type Environment, type LoadedCredential, loadCredential } from "./own-key-pair.ts";
import { isLoopback } from "./place.ts";

/** What decides which keys a server accepts. */
export type KeySettings = Pick<
  Settings,
  "apiKeysFile" | "auth" | "credentialsFile" | "host" | "insecurePublic" | "keyFileGraceMs"
>;

export interface LoadedKeys {
  readonly keys: Keys;
  /** The key pair of the environment or of the user's cache; undefined if keys come from a file or are not needed. */
  readonly own?: LoadedCredential;
  /** The files that the keys were read from. */
  readonly files: readonly WatchedFile<unknown>[];
}

const NO_KEYS: Keys = { keyPair: () => undefined, apiKey: () => undefined };

/**
 * `onProblem` is called, repeatedly, while a key file cannot be used.
 * @throws GptError `invalid_config` when a file is missing or unusable, or when a server without authentication would be
 * reachable from other machines.
 */
export function loadKeys(
  settings: KeySettings,
  env: Environment,
  onProblem: (message: string) => void,
): LoadedKeys {
  const { auth, credentialsFile, keyFileGraceMs } = settings;
  const options = { keyFileGraceMs, onProblem };
  const pairs = (): LoadedKeys =>
    credentialsFile === ""
      ? onePair(loadCredential(env))
      : filePairs(keyPairFile(credentialsFile, options), credentialFrom(env));
  switch (auth) {
    case "none":
      refusePublic(settings);
      return { keys: NO_KEYS, files: [] };
    case "bearer":
      return apiKeys(apiKeyFile(requireApiKeys(settings), options));
    case "sigv4":
      return pairs();
    case "any": {
      const [ofPairs, ofKeys] = [pairs(), apiKeys(apiKeyFile(requireApiKeys(settings), options))];
      return {
        ...ofPairs,
        keys: { keyPair: ofPairs.keys.keyPair, apiKey: ofKeys.keys.apiKey },
        files: [...ofPairs.files, ...ofKeys.files],
      };
    }
  }
}

function apiKeys(file: ReturnType<typeof apiKeyFile>): LoadedKeys {
  return { keys: { ...NO_KEYS, apiKey: (sha256) => file.content.get(sha256) }, files: [file] };
}

function onePair(own: LoadedCredential): LoadedKeys {
  const pair = { ...own.credential, endpoints: "*" } as const;
  return {
    keys: { ...NO_KEYS, keyPair: (id) => (id === pair.accessKeyId ? pair : undefined) },
    own,
    files: [],
  };
}

/**
 * The pairs of a file, and the pair of the environment if there is one. Once a pair has been in the file, only the file
 * decides about it: its entry may allow fewer endpoints, and removing the entry must revoke the pair.
 */
function filePairs(file: ReturnType<typeof keyPairFile>, credential: Credential | undefined): LoadedKeys {
  if (credential === undefined) {
    return { keys: { ...NO_KEYS, keyPair: (id) => file.content.get(id) }, files: [file] };
  }
  const pair = { ...credential, endpoints: "*" } as const;
  let stoodInFile = file.content.has(pair.accessKeyId);
  const keyPair: Keys["keyPair"] = (id) => {
    const { content } = file;
    stoodInFile ||= content.has(pair.accessKeyId);
    return id === pair.accessKeyId && !stoodInFile ? pair : content.get(id);
  };
  return {
    keys: { ...NO_KEYS, keyPair },
    own: { credential, place: { kind: "environment" } },
    files: [file],
  };
}

function requireApiKeys({ auth, apiKeysFile }: KeySettings): string {
  if (apiKeysFile !== "") return apiKeysFile;
  const how = "`gpt2-api api-key` makes a key and its entry in that file";
  const message = `--auth ${auth} needs --api-keys-file; ${how}`;
  throw new GptError("invalid_config", message);
}

function refusePublic({ host, insecurePublic }: KeySettings): void {
  if (insecurePublic || isLoopback(host)) return;
  throw new GptError(
    "invalid_config",
    `--auth none with --host ${host} would let everybody who can reach this machine generate texts; ` +
      "listen on 127.0.0.1, or add --insecure-public if something else protects the port",
  );
}
