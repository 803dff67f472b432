// The environment variables about the hub: the same as Python's huggingface_hub reads, with the same meaning. An empty
// variable counts as unset. The only file read here is the token's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GptError, messageOf } from "../errors.ts";
import { type Environment, homeFolder } from "../files/home-folder.ts";
import { quote } from "../wording.ts";

export type { Environment } from "../files/home-folder.ts";

export interface Token {
  readonly value: string;
  /** The variable or file that it comes from, for messages. */
  readonly origin: string;
}

export interface HubEnvironment {
  /** The folder of cached repositories. */
  readonly cache: string;
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string;
  /** The variable that forbids fetching. Undefined: fetching is allowed. */
  readonly offline: string | undefined;
  /** The longest time to connect. */
  readonly connectTimeoutMs: number;
  /** The longest wait for an answer's headers. */
  readonly headersTimeoutMs: number;
  /** The longest wait for the next bytes of a body. */
  readonly silenceTimeoutMs: number;
  /** False: the snapshot folders hold the files themselves, not links to blobs. */
  readonly useSymlinks: boolean;
  /** True: show no progress. */
  readonly isQuiet: boolean;
  readonly proxies: Proxies;
  /** @throws GptError `invalid_config` when the token's file cannot be read, or the token does not fit into a header. */
  readonly token: () => Token | undefined;
}

/** The values of the proxy variables. Empty: not set. */
export interface Proxies {
  readonly http: string;
  readonly https: string;
  /** Hosts that are reached without a proxy. */
  readonly none: string;
}

/** The public hub. */
export const DEFAULT_ENDPOINT = "https://huggingface.co";
const DEFAULT_TIMEOUT_S = 10;
const TIMEOUT_MAX_S = 3600;
const CONNECT_TIMEOUT_MS = 10_000;

/** @throws GptError `invalid_config` that names the variable, its value and the values allowed. */
export function hubEnvironment(env: Environment): HubEnvironment {
  const home = hubHome(env);
  const cache = pathOf(env, "HF_HUB_CACHE") ?? pathOf(env, "HUGGINGFACE_HUB_CACHE");
  return {
    cache: cache ?? join(home ?? userHome(env), "hub"), // Without `home`, `userHome` throws the error that says why.
    endpoint: endpointOf(env),
    offline: ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].find((name) => isTrue(env[name])),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    headersTimeoutMs: milliseconds(env, "HF_HUB_ETAG_TIMEOUT"),
    silenceTimeoutMs: milliseconds(env, "HF_HUB_DOWNLOAD_TIMEOUT"),
    useSymlinks: !isTrue(env.HF_HUB_DISABLE_SYMLINKS),
    isQuiet: isTrue(env.HF_HUB_DISABLE_PROGRESS_BARS),
    proxies: {
      http: env.http_proxy || env.HTTP_PROXY || "",
      https: env.https_proxy || env.HTTPS_PROXY || "",
      none: env.no_proxy || env.NO_PROXY || "",
    },
    token: () => tokenOf(env, pathOf(env, "HF_TOKEN_PATH") ?? (home && join(home, "token"))),
  };
}

function isTrue(text: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(text ?? "");
}

function userHome(env: Environment): string {
  const home = homeFolder(env);
  return "path" in home ? home.path : noHome(home.reason);
}

function noHome(reason: string): never {
  throw new GptError("invalid_config", `${reason}; set HF_HOME to the folder in which models are kept`);
}

/** Undefined: no variable names a folder, and the user has no home. A relative path stays relative, as in Python. */
function hubHome(env: Environment): string | undefined {
  const named = pathOf(env, "HF_HOME");
  if (named !== undefined) return named;
  const caches = pathOf(env, "XDG_CACHE_HOME");
  if (caches !== undefined) return join(caches, "huggingface");
  const home = homeFolder(env);
  return "path" in home ? join(home.path, ".cache", "huggingface") : undefined;
}

/** Expands `~`, `$NAME` and `${NAME}`. Names that are not set stay as they are. */
function pathOf(env: Environment, variable: string): string | undefined {
  const text = env[variable] ?? "";
  if (text === "") return undefined;
  const home = /^~(?=\/|\\|$)/.test(text) ? userHome(env) + text.slice(1) : text;
  return home.replace(/\$(?:(\w+)|\{([^}]*)\})/g, (whole, plain, braced) => env[plain ?? braced] ?? whole);
}

function endpointOf(env: Environment): string {
  const text = env.HF_ENDPOINT || DEFAULT_ENDPOINT;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isAddress = url !== undefined && /^https?:$/.test(url.protocol);
  if (isAddress && url.username === "" && url.search === "" && url.hash === "")
    return text.replace(/\/+$/, "");
  throw new GptError(
    "invalid_config",
    `HF_ENDPOINT must be an address such as ${DEFAULT_ENDPOINT}, without a user name and a query, got ${quote(
      text.replace(/\/\/[^/]*@/, "//…@"),
    )}`,
  );
}

function milliseconds(env: Environment, variable: string): number {
  const text = env[variable] || String(DEFAULT_TIMEOUT_S);
  const seconds = /^\d+$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= TIMEOUT_MAX_S) return seconds * 1000;
  throw new GptError(
    "invalid_config",
    `${variable} must be a whole number of seconds from 1 to ${TIMEOUT_MAX_S}, got ${quote(text)}`,
  );
}

function tokenOf(env: Environment, file: string | undefined): Token | undefined {
  if (isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  for (const variable of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const value = cleaned(env[variable] ?? "");
    if (value !== "") return checkedToken(value, variable);
  }
  if (file === undefined) return undefined;
  const value = cleaned(readToken(file));
  return value === "" ? undefined : checkedToken(value, `the file ${file}`);
}

function cleaned(text: string): string {
  return text.replace(/[\r\n]/g, "").trim();
}

/** Empty: there is no such file. */
function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    if (/^(ENOENT|ENOTDIR)$/.test((cause as NodeJS.ErrnoException).code ?? "")) return "";
    const message = `the file of the hub's token, ${file}, cannot be read: ${messageOf(cause)}`;
    throw new GptError("invalid_config", message, { cause });
  }
}

/** A text that a header cannot hold is not a token. The message does not quote it: it may be a secret pasted badly. */
function checkedToken(value: string, origin: string): Token {
  if (/^[\x21-\x7e]{1,4096}$/.test(value)) return { value, origin };
  throw new GptError(
    "invalid_config",
    `the token from ${origin} has ${value.length} characters and is not printable ASCII without blanks`,
  );
}
