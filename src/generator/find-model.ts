// From what a person calls a model to a directory that can be loaded: a directory as it is, a repository from the hub's
// cache, and what is missing there from the hub.
import { GptError } from "../errors.ts";
import { type HubOptions, obtainModel } from "../hub/obtain.ts";
import { modelName, placeOf } from "./model-directory.ts";

export interface FoundModel {
  readonly directory: string;
  /** By which endpoints and logs speak of it. */
  readonly name: string;
  /** Of a model of a hub: which one it is, as `owner/name at 607a30d7`. */
  readonly origin?: string;
}

/**
 * `hub` says how the hub is asked; it is called only for a model of a hub.
 * @throws GptError `invalid_checkpoint` for what is nowhere to be found, and what fetching throws
 */
export async function findModel(nameOrPath: string, hub: () => HubOptions): Promise<FoundModel> {
  const place = placeOf(nameOrPath);
  if ("directory" in place) return { directory: place.directory, name: modelName(place.directory) };
  try {
    const { directory, name, label } = await obtainModel(place.repository, hub());
    return { directory, name, origin: label };
  } catch (error) {
    if (!(error instanceof GptError) || error.code !== "model_not_cached") throw error;
    // Who mistyped a folder's name should not look for the fault on the hub.
    const message = `${error.message}; there is no directory ${JSON.stringify(nameOrPath)} either`;
    throw new GptError(error.code, message, { cause: error });
  }
}
