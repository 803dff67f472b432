// From what a person calls a model to a directory that can be loaded: a directory as it is, a repository from the hub's
// cache, and what is missing there from the hub.
import { GptError } from "../errors.ts";
import { type HubModel, type HubOptions, obtainModel, renew } from "../hub/obtain.ts";
import type { Repository } from "../hub/repository.ts";
import { modelName, placeOf } from "./model-directory.ts";

export interface FoundModel {
  readonly directory: string;
  /** By which endpoints and logs speak of it. */
  readonly name: string;
  /** Of a model of a hub: which one it is, as `owner/name at 607a30d7`. */
  readonly origin?: string;
}

/**
 * How much is done for a model of a hub: `here` makes no request, `complete` fetches what is missing, `newest` asks the hub
 * for news.
 */
export type Freshness = "here" | "complete" | "newest";

/**
 * `hub` says how the hub is asked; it is called only for a model of a hub.
 * @throws GptError `invalid_checkpoint` for what is nowhere to be found, and what fetching throws
 */
export async function findModel(
  nameOrPath: string,
  hub: () => HubOptions,
  freshness: Freshness = "complete",
): Promise<FoundModel> {
  const place = placeOf(nameOrPath);
  if ("directory" in place) return { directory: place.directory, name: modelName(place.directory) };
  try {
    const { directory, name, label } = await ofHub(place.repository, hub(), freshness);
    return { directory, name, origin: label };
  } catch (error) {
    if (!(error instanceof GptError) || error.code !== "model_not_cached") throw error;
    // Who mistyped a folder's name should not look for the fault on the hub.
    const message = `${error.message}; there is no directory ${JSON.stringify(nameOrPath)} either`;
    throw new GptError(error.code, message, { cause: error });
  }
}

function ofHub(repository: Repository, options: HubOptions, freshness: Freshness): Promise<HubModel> {
  if (freshness === "newest") return renew(repository, options);
  if (freshness === "complete") return obtainModel(repository, options);
  const environment = { ...options.environment, offline: "a look at the cache" };
  return obtainModel(repository, { environment });
}
