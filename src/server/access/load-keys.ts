// Which keys a server accepts, from its settings and environment: key pairs for SigV4, API keys for bearer
// authentication, or none where the operator said so in as many words.

import { GptError } from "../../errors.ts";
import type { Settings } from "../../settings.ts";
import type { Keys } from "./authentication.ts";
import { apiKeysFrom, keyPairsFrom } from "./key-files.ts";
import { credentialFrom, type Environment, type LoadedCredential, loadCredential } from "./own-key-pair.ts";

export interface LoadedKeys {
  readonly keys: Keys;
  /** The one key pair of the environment or of the user's cache; undefined: keys come from a file, or none are needed. */
  readonly own?: LoadedCredential;
  /** Looks whether the file has changed, as every request does. */
  readonly reread: () => void;
}

const NO_KEYS: Keys = { keyPair: () => undefined, apiKey: () => undefined };

/**
 * `onProblem` is told when a key file changes into something that cannot be used.
 * @throws GptError `invalid_config` when a file is missing or unusable, or an open door would be public.
 */
export function loadKeys(
  settings: Settings,
  env: Environment,
  onProblem: (message: string) => void,
): LoadedKeys {
  switch (settings.auth) {
    case "none":
      refusePublic(settings);
      return { keys: NO_KEYS, reread: () => {} };
    case "bearer": {
      const apiKey = apiKeysFrom(requireApiKeys(settings), onProblem);
      return { keys: { ...NO_KEYS, apiKey }, reread: () => void apiKey("") };
    }
    case "sigv4":
      return settings.credentialsFile === ""
        ? ownPair(env)
        : filePairs(settings.credentialsFile, env, onProblem);
  }
}

function ownPair(env: Environment): LoadedKeys {
  const own = loadCredential(env);
  const { credential } = own;
  return {
    keys: { ...NO_KEYS, keyPair: (id) => (id === credential.accessKeyId ? credential : undefined) },
    own,
    reread: () => {},
  };
}

/** The pairs of a file, and that of the environment when there is one. */
function filePairs(path: string, env: Environment, onProblem: (message: string) => void): LoadedKeys {
  const lookUp = keyPairsFrom(path, onProblem);
  const reread = (): void => void lookUp("");
  const credential = credentialFrom(env);
  if (credential === undefined) return { keys: { ...NO_KEYS, keyPair: lookUp }, reread };
  const keyPair: Keys["keyPair"] = (id) => (id === credential.accessKeyId ? credential : lookUp(id));
  return { keys: { ...NO_KEYS, keyPair }, own: { credential }, reread };
}

function requireApiKeys({ apiKeysFile }: Settings): string {
  if (apiKeysFile !== "") return apiKeysFile;
  const message =
    "--auth bearer needs --api-keys-file; `gpt2-api api-key` makes a key and its entry in that file";
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
