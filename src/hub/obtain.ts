// Turns the name of a model on a hub into a directory that can be loaded. A model that is complete in the cache needs no
// request; `pull` and `renew` ask the hub for a newer commit. Nothing is printed here: events go to the caller.
import { GptError, messageOf } from "../errors.ts";
import { HubClient } from "./hub-client.ts";
import type { HubEnvironment } from "./hub-environment.ts";
import type { HubEvent } from "./hub-event.ts";
import { newestCommit } from "./listing.ts";
import { TOKENIZER_FILE } from "./model-files.ts";
import { type PulledModel, pullModel } from "./pull.ts";
import { label, type Repository, shortName } from "./repository.ts";
import { findSnapshot, isComplete, isUsable, type Snapshot } from "./snapshot.ts";
import { sendsInTheOpen, Transport } from "./transport.ts";
import { WORLD, type World } from "./world.ts";

export interface HubOptions {
  readonly environment: HubEnvironment;
  readonly onEvent?: (event: HubEvent) => void;
  /** Aborts everything with its reason. What was fetched so far is kept, and the next call resumes there. */
  readonly signal?: AbortSignal | undefined;
  readonly world?: World;
}

export interface HubModel {
  /** A checkpoint directory, of the form that `--model` takes. */
  readonly directory: string;
  /** A short name for endpoints and logs, without the owner. */
  readonly name: string;
  /** `owner/name at 607a30d7` */
  readonly label: string;
}

/**
 * Takes the model from the cache, and fetches what is missing from the hub.
 * @throws GptError `model_not_cached` when fetching is forbidden and the cache lacks the model; all that `pull` throws
 */
export async function obtainModel(repository: Repository, options: HubOptions): Promise<HubModel> {
  const { environment } = options;
  const found = await findSnapshot(environment.cache, repository);
  if (environment.offline !== undefined) return offlineModel(repository, found, environment.offline, options);
  if (found !== undefined && isComplete(found)) return cachedModel(found);
  try {
    return await fetchModel(repositoryToComplete(repository, found), options, false);
  } catch (error) {
    if (options.signal?.aborted || !isOfTheHub(error) || found === undefined || !isUsable(found)) throw error;
    notice(options, `${messageOf(error)}; ${incompleteness(found)}`);
    return cachedModel(found);
  }
}

/**
 * Brings the cache to the newest commit of the revision. Files that the cache has already are hashed too.
 * @throws GptError with the hub's codes, `download_failed`, `invalid_checkpoint` or `invalid_config`
 */
export async function pull(repository: Repository, options: HubOptions): Promise<HubModel> {
  const { environment } = options;
  if (environment.offline === undefined) return fetchModel(repository, options, true);
  const found = await findSnapshot(environment.cache, repository);
  notice(options, `${environment.offline} forbids asking the hub for news`);
  return offlineModel(repository, found, environment.offline, options);
}

/**
 * Like `pull`, for callers that poll. If there is no newer commit, it costs one small request. Files that the cache has
 * already are not hashed.
 * @throws GptError as `pull` does; `model_not_cached` when fetching is forbidden and the cache lacks the model
 */
export async function renew(repository: Repository, options: HubOptions): Promise<HubModel> {
  const { environment } = options;
  const found = await findSnapshot(environment.cache, repository);
  if (environment.offline !== undefined) return offlineModel(repository, found, environment.offline, options);
  if (found !== undefined && isComplete(found)) {
    const newest = await withClient(options, (client) => newestCommit(client, repository));
    if (newest === found.commit) return cachedModel(found);
  }
  return fetchModel(repository, options, false);
}

async function fetchModel(repository: Repository, options: HubOptions, verify: boolean): Promise<HubModel> {
  const { onEvent = () => {} } = options;
  const pulled = await withClient(options, (client) => pullModel({ client, repository, verify, onEvent }));
  return { directory: pulled.directory, name: shortName(repository.id), label: labelOf(pulled) };
}

async function withClient<T>(options: HubOptions, use: (client: HubClient) => Promise<T>): Promise<T> {
  const { environment, onEvent = () => {}, signal, world = WORLD } = options;
  const transport = await Transport.open(environment);
  const onNotice = (text: string): void => onEvent({ kind: "notice", text });
  if (environment.token() !== undefined && sendsInTheOpen(environment)) {
    const { host } = new URL(environment.endpoint);
    onNotice(`HF_ENDPOINT is http: the token is not sent to ${host}; use https`);
  }
  try {
    return await use(new HubClient(environment, { world, signal, onNotice }, transport));
  } finally {
    await transport.close();
  }
}

function labelOf({ id, commit }: PulledModel): string {
  return label(id, commit);
}

function cachedModel({ directory, id, commit }: Snapshot): HubModel {
  return { directory, name: shortName(id), label: label(id, commit) };
}

/** A cached model that can be loaded is completed at its own commit. Only `pull` and `renew` move to a newer one. */
function repositoryToComplete(repository: Repository, found: Snapshot | undefined): Repository {
  if (found === undefined || !isUsable(found)) return repository;
  return { id: found.id, revision: found.commit };
}

function isOfTheHub(error: unknown): boolean {
  const codes: readonly string[] = ["hub_refused", "hub_unreachable", "download_failed"];
  return error instanceof GptError && codes.includes(error.code);
}

function offlineModel(
  { id, revision }: Repository,
  found: Snapshot | undefined,
  reason: string,
  options: HubOptions,
): HubModel {
  if (found !== undefined && isComplete(found)) return cachedModel(found);
  if (found !== undefined && isUsable(found)) {
    notice(options, incompleteness(found));
    return cachedModel(found);
  }
  const { cache } = options.environment;
  const lacking = found && [...found.missing, ...(found.hasTokenizer ? [] : [TOKENIZER_FILE])];
  const what =
    lacking === undefined
      ? `${id} (${revision}) is not in ${cache}`
      : `${id} is not complete in ${cache}: ${lacking.join(", ")} missing`;
  const name = revision === "main" ? id : `${id}@${revision}`;
  throw new GptError(
    "model_not_cached",
    `${what}, and ${reason} forbids fetching; run gpt2-api pull ${name} online`,
  );
}

function incompleteness({ id, commit, unknown }: Snapshot): string {
  return `${label(id, commit)} is used as it is in the cache, which lacks files that the repository may have: ${unknown.join(", ")}`;
}

function notice({ onEvent }: HubOptions, text: string): void {
  onEvent?.({ kind: "notice", text });
}
