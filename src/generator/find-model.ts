// Turns what a user calls a model into a directory that can be loaded. A directory is taken as it is. A repository is taken from
// the hub's cache, and what is missing there is fetched from the hub.
import { GptError } from "../errors.ts";
import { type HubModel, type HubOptions, obtainModel, renew } from "../hub/obtain.ts";
import type { Repository } from "../hub/repository.ts";
import { modelName, placeOf } from "./model-directory.ts";

export interface FoundModel {
  readonly directory: string;
  /** A short name for endpoints and logs. */
  readonly name: string;
  /** Only for a model from a hub: its full name and commit, such as `owner/name at 607a30d7`. */
  readonly origin?: string;
}

/**
 * What to do for a model from a hub. `here`: only look into the cache, without a request. `complete`: fetch what is missing.
 * `newest`: ask the hub for a newer commit.
 */
export type Freshness = "here" | "complete" | "newest";

/**
 * `hub` returns the options for the hub. It is called only if the model is not a directory.
 * @throws GptError `invalid_checkpoint` if there is no such model, and all that fetching throws
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
    // The name may be a mistyped folder. Then an error about the hub alone would mislead.
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
