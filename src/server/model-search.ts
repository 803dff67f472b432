// Finds the models of all endpoints, each once, and follows the progress of downloads.
import type { FoundModel, Freshness } from "../generator/find-model.ts";
import { placeOf } from "../generator/model-directory.ts";

/**
 * Finds a model, and fetches it if necessary. `onFetched` is called with the part that is fetched, from 0 to 1. The default
 * freshness is `complete`.
 */
export type FindModel = (
  model: string,
  signal: AbortSignal,
  onFetched: (part: number) => void,
  freshness?: Freshness,
) => Promise<FoundModel>;

export class ModelSearch {
  readonly #find: FindModel;
  readonly #found = new Map<string, Promise<FoundModel>>();
  readonly #fetched = new Map<string, number>();
  readonly #stop = new AbortController();

  /** @throws GptError `invalid_checkpoint` when a model is not a directory, and its name cannot be one of a hub. */
  constructor(models: readonly string[], find: FindModel) {
    this.#find = find;
    const names = [...new Set(models)];
    const places = names.map((model) => ({ model, isLocal: "directory" in placeOf(model) }));
    // Models of a hub are fetched one after the other, because one download fills most connections to the internet.
    let last: Promise<unknown> = Promise.resolve();
    for (const { model, isLocal } of places) {
      const begin = (): Promise<FoundModel> =>
        find(model, this.#stop.signal, (part) => this.#fetched.set(model, part));
      const finding = isLocal ? begin() : last.then(begin);
      if (!isLocal) last = finding.catch(() => {});
      finding.catch(() => {}); // It may fail before anybody awaits it.
      this.#found.set(model, finding);
    }
  }

  of(model: string): Promise<FoundModel> {
    return this.#found.get(model) as Promise<FoundModel>;
  }

  /** Finds the model again, because its name may lead to something else now. */
  again(model: string, freshness: Freshness): Promise<FoundModel> {
    return this.#find(model, this.#stop.signal, () => {}, freshness);
  }

  /** What is being done for a model that cannot answer yet. */
  stateOf(model: string): string {
    const part = this.#fetched.get(model) ?? 1;
    return part < 1 ? `downloading ${Math.floor(100 * part)} %` : "loading";
  }

  /** Stops downloads. The next start continues them. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the server stops"));
    await Promise.allSettled(this.#found.values());
  }
}
