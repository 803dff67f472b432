// Which keys a server accepts, from its settings and environment: key pairs for SigV4, API keys for bearer
// authentication, or none where the operator said so in as many words.
import { GptError } from "../../errors.ts";
import type { WatchedFile } from "../../files/watched-file.ts";
import type { Settings } from "../../settings.ts";
import type { Credential } from "../../sigv4/index.ts";
import type { Keys } from "./authentication.ts";
import { apiKeyFile, keyPairFile } from "./key-files.ts";
import { credentialFrom, type Environment, type LoadedCredential, loadCredential } from "./own-key-pair.ts";

export interface LoadedKeys {
  readonly keys: Keys;
  /** The one key pair of the environment or of the user's cache; undefined: keys come from a file, or none are needed. */
  readonly own?: LoadedCredential;
  /** The files that keys come from. */
  readonly files: readonly WatchedFile<unknown>[];
}

const NO_KEYS: Keys = { keyPair: () => undefined, apiKey: () => undefined };

/**
 * `onProblem` is told, again and again, of a key file that cannot be used.
 * @throws GptError `invalid_config` when a file is missing or unusable, or an open door would be public.
 */
export function loadKeys(
  settings: Settings,
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
 * The pairs of a file, and that of the environment when there is one. Of a pair that stands in both, only the file's word
 * counts, from then on: its entry may allow less, and that it is taken out is to end it.
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

function requireApiKeys({ auth, apiKeysFile }: Settings): string {
  if (apiKeysFile !== "") return apiKeysFile;
  const how = "`gpt2-api api-key` makes a key and its entry in that file";
  const message = `--auth ${auth} needs --api-keys-file; ${how}`;
  throw new GptError("invalid_config", message);
}

function refusePublic({ host, insecurePublic }: Settings): void {
  if (insecurePublic || isLoopback(host)) return;
  throw new GptError(
    "invalid_config",
    `--auth none with --host ${host} would let everybody who reaches this machine generate; ` +
      "listen on 127.0.0.1, or say --insecure-public when something else guards the port",
  );
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
