// Finds the models of all endpoints, each once, and knows how far those are that have to be fetched first.
import type { FoundModel, Freshness } from "../generator/find-model.ts";
import { placeOf } from "../generator/model-directory.ts";

/**
 * Finds a model, and fetches it if need be; `onFetched` is told which part of it is here, from 0 to 1. Default freshness:
 * complete.
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

  /** @throws GptError `invalid_checkpoint` when a model is no directory, and can be nothing else. */
  constructor(models: readonly string[], find: FindModel) {
    this.#find = find;
    const names = [...new Set(models)];
    const places = names.map((model) => ({ model, isHere: "directory" in placeOf(model) }));
    // Those of a hub one after the other: one connection fills most lines.
    let last: Promise<unknown> = Promise.resolve();
    for (const { model, isHere } of places) {
      const begin = (): Promise<FoundModel> =>
        find(model, this.#stop.signal, (part) => this.#fetched.set(model, part));
      const finding = isHere ? begin() : last.then(begin);
      if (!isHere) last = finding.catch(() => {});
      finding.catch(() => {}); // It may fail while nobody waits for it yet.
      this.#found.set(model, finding);
    }
  }

  of(model: string): Promise<FoundModel> {
    return this.#found.get(model) as Promise<FoundModel>;
  }

  /** Finds it anew: what its name stands for may have changed. */
  again(model: string, freshness: Freshness): Promise<FoundModel> {
    return this.#find(model, this.#stop.signal, () => {}, freshness);
  }

  /** What is being done about a model that cannot answer yet. */
  stateOf(model: string): string {
    const part = this.#fetched.get(model) ?? 1;
    return part < 1 ? `downloading ${Math.floor(100 * part)} %` : "loading";
  }

  /** Ends what is being fetched; it goes on there the next time. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the server stops"));
    await Promise.allSettled(this.#found.values());
  }
}
