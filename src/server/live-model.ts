// One model whose checkpoint can be replaced while it serves. A new checkpoint is loaded beside the old one; requests that
// begin then go to it, those that have begun finish where they began, and when the last has, the old one is closed. At most
// two are in memory at a time. When and how often is not decided here: see `models.ts`.
import { realpathSync } from "node:fs";
import { addStats, IDLE_STATS } from "../engine/counts.ts";
import { GptError, messageOf } from "../errors.ts";
import type { FoundModel, Freshness } from "../generator/find-model.ts";
import { checkpointState } from "../model/loading/checkpoint-state.ts";
import type { Generator, GeneratorStats } from "../request/generation.ts";
import type { HeldGenerator, ModelSource } from "./doors/served-model.ts";
import { Instance } from "./model-instance.ts";

/** What came of a reload. */
export interface ReloadOutcome {
  /** As the setting names it. */
  readonly model: string;
  /** `refused`: there is not memory enough; `failed`: the new checkpoint cannot be loaded. The old one serves on. */
  readonly result: "replaced" | "unchanged" | "refused" | "failed";
  /** One sentence. */
  readonly message: string;
}

export interface LiveModelOptions {
  /** As the setting names it. */
  readonly model: string;
  readonly find: (freshness: Freshness) => Promise<FoundModel>;
  readonly load: (found: FoundModel, onDeath: OnDeath, signal: AbortSignal) => Promise<Generator>;
  /** Rejects when it cannot be loaded, as far as that shows without memory. */
  readonly check: (found: FoundModel) => Promise<void>;
  /** Why it has no room beside what is loaded. */
  readonly refusal: (found: FoundModel) => string | undefined;
  /** Without room the old one ends before the new one is loaded. */
  readonly isInPlace: boolean;
  readonly lingerMs: number;
  /** Is told of the death of the engine that serves. */
  readonly onDeath: (name: string, error: GptError, isFatal: boolean) => void;
}

export type OnDeath = (error: GptError, isFatal: boolean) => void;

export class LiveModel implements ModelSource {
  readonly #options: LiveModelOptions;
  #present: Instance | undefined;
  /** The one before, until it is closed. */
  #retired: Instance | undefined;
  #retirement: Promise<void> = Promise.resolve();
  /** Of those that are closed. */
  #counted: GeneratorStats = IDLE_STATS;
  #outcomes = { replaced: 0, unchanged: 0, refused: 0, failed: 0 };
  #isReloading = false;
  #problem: string | undefined;
  readonly #closed = new AbortController();
  /** The states of the files that were seen last, and that could not be loaded last. */
  #seen = "";
  #tried = "";

  constructor(options: LiveModelOptions) {
    this.#options = options;
  }

  get model(): string {
    return this.#options.model;
  }

  get present(): Generator | undefined {
    return this.#present?.generator;
  }

  hold(): HeldGenerator | undefined {
    return this.#present?.hold();
  }

  /** How many reloads came to what. */
  get outcomes(): Readonly<Record<ReloadOutcome["result"], number>> {
    return this.#outcomes;
  }

  /** Why the last reload left the old checkpoint; undefined: it did not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** What /readyz tells beside the health; undefined: nothing. */
  get news(): string | undefined {
    return this.#isReloading ? "a new checkpoint is being loaded" : this.#problem;
  }

  /** Loads it for the first time. To be called once. @throws GptError */
  async start(found: FoundModel): Promise<Generator> {
    const instance = await this.#load(resolved(found));
    this.#present = instance;
    return instance.generator;
  }

  /** Puts what the model's name stands for now in the place of what serves. One at a time; never rejects. */
  async reload(): Promise<ReloadOutcome> {
    this.#isReloading = true;
    const outcome = await this.#replace().catch((error: unknown) => this.#failed(error));
    this.#isReloading = false;
    this.#outcomes[outcome.result] += 1;
    const isWell = outcome.result === "replaced" || outcome.result === "unchanged";
    this.#problem = isWell ? undefined : outcome.message;
    return outcome;
  }

  /**
   * Whether there is something to reload: files that are others than those that serve, or those again after others could not be
   * loaded; the same ones as at the last look (nobody writes them any more), and not the ones that could not be loaded.
   */
  async isOutdated(freshness: Freshness): Promise<boolean> {
    const { directory } = await this.#options.find(freshness);
    const state = checkpointState(directory);
    const isSettled = state === this.#seen;
    this.#seen = state;
    const isNews = state !== this.#present?.state || this.#problem !== undefined;
    return isSettled && isNews && state !== this.#tried;
  }

  /** Over all that served so far; of pages only those of the present one. */
  stats(): GeneratorStats {
    const present = this.#present?.generator.stats() ?? IDLE_STATS;
    const retired = this.#retired?.generator.stats() ?? IDLE_STATS;
    return [retired, this.#counted].reduce(addStats, present);
  }

  /** Cancels what is open; what is being loaded is closed when that is done, and not waited for. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#retired?.end();
    await Promise.all([this.#present?.generator.close(), this.#retirement]);
  }

  async #replace(): Promise<ReloadOutcome> {
    await this.#retirement;
    const { model, find } = this.#options;
    const found = resolved(await find("complete"));
    const state = checkpointState(found.directory);
    if (state === this.#present?.state) {
      return { model, result: "unchanged", message: `${model}: its files are those that are loaded` };
    }
    this.#tried = state;
    const refusal = this.#present && this.#options.refusal(found);
    if (refusal === undefined) this.#succeed(await this.#load(found));
    else if (this.#options.isInPlace) await this.#replaceInPlace(found);
    else return { model, result: "refused", message: `${refusal}; --reload-in-place ends the old one first` };
    return { model, result: "replaced", message: `${model}: ${inWords(found)} serves now` };
  }

  /** Ends the old one first. Where the new one then cannot be loaded, the old one is, if its files are still there. */
  async #replaceInPlace(found: FoundModel): Promise<void> {
    await this.#options.check(found);
    const old = this.#present as Instance;
    this.#retire(old);
    await this.#retirement;
    try {
      this.#succeed(await this.#load(found));
    } catch (error) {
      if (this.#closed.signal.aborted || !isStillThere(old)) throw error;
      this.#succeed(await this.#load(old.found));
      throw error;
    }
  }

  async #load(found: FoundModel): Promise<Instance> {
    this.#assertOpen();
    const state = checkpointState(found.directory);
    let instance: Instance | undefined;
    const onDeath: OnDeath = (error, isFatal) => {
      if (instance === undefined || !instance.isRetired) this.#options.onDeath(found.name, error, isFatal);
      else instance.end(); // Its requests have failed, and it gets no others.
    };
    const generator = await this.#options.load(found, onDeath, this.#closed.signal);
    instance = new Instance(found, generator, state);
    if (!this.#closed.signal.aborted) return instance;
    void generator.close();
    throw stopped();
  }

  #succeed(instance: Instance): void {
    const old = this.#present;
    this.#present = instance;
    if (old !== undefined) this.#retire(old);
  }

  #retire(instance: Instance): void {
    if (this.#present === instance) this.#present = undefined;
    this.#retired = instance;
    this.#retirement = instance.retire(this.#options.lingerMs).then(() => {
      this.#counted = addStats(this.#counted, instance.generator.stats());
      this.#retired = undefined;
    });
  }

  #failed(error: unknown): ReloadOutcome {
    const { model } = this.#options;
    const whatServes = this.#present === undefined ? "no model serves" : "the old one serves on";
    return {
      model,
      result: "failed",
      message: `${model}: ${messageOf(error).replace(/\.$/, "")}; ${whatServes}`,
    };
  }

  #assertOpen(): void {
    if (this.#closed.signal.aborted) throw stopped();
  }
}

export function stopped(): GptError {
  return new GptError("cancelled", "the server stops");
}

/** A link may point to another directory by the time that its files are opened. */
function resolved(found: FoundModel): FoundModel {
  return { ...found, directory: realpathSync(found.directory) };
}

function isStillThere({ found, state }: Instance): boolean {
  try {
    return checkpointState(found.directory) === state;
  } catch {
    return false;
  }
}

function inWords({ name, origin }: FoundModel): string {
  return origin ?? name;
}
