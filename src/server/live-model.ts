// One model whose checkpoint can be replaced while it serves. The new checkpoint is loaded beside the old one. New requests
// then go to the new one. Running requests finish on the old one, which is closed after the last of them. At most two are in
// memory at a time. `models.ts` decides when to reload.
import { realpathSync } from "node:fs";
import { addStats, IDLE_STATS } from "../engine/counts.ts";
import { GptError, messageOf } from "../errors.ts";
import type { FoundModel, Freshness } from "../generator/find-model.ts";
import { checkpointState } from "../model/loading/checkpoint-state.ts";
import type { Generator, GeneratorStats } from "../request/generation.ts";
import type { HeldGenerator, ModelSource } from "./doors/served-model.ts";
import { Instance } from "./model-instance.ts";

/** The result of a reload. */
export interface ReloadOutcome {
  /** The model as the setting names it. */
  readonly model: string;
  /** `refused`: not enough memory; `failed`: the new checkpoint cannot be loaded. The old one goes on serving. */
  readonly result: "replaced" | "unchanged" | "refused" | "failed";
  /** One sentence. */
  readonly message: string;
}

export interface LiveModelOptions {
  /** The model as the setting names it. */
  readonly model: string;
  readonly find: (freshness: Freshness) => Promise<FoundModel>;
  readonly load: (found: FoundModel, onDeath: OnDeath, signal: AbortSignal) => Promise<Generator>;
  /** Rejects if the checkpoint cannot be loaded, as far as that can be checked without allocating its memory. */
  readonly check: (found: FoundModel) => Promise<void>;
  /** Why there is no memory for it beside what is loaded; undefined if there is. */
  readonly refusal: (found: FoundModel) => string | undefined;
  /** True: if memory is short, the old one is closed before the new one is loaded. */
  readonly isInPlace: boolean;
  readonly lingerMs: number;
  /** Called when the engine of the serving checkpoint dies. */
  readonly onDeath: (name: string, error: GptError, isFatal: boolean) => void;
}

export type OnDeath = (error: GptError, isFatal: boolean) => void;

export class LiveModel implements ModelSource {
  readonly #options: LiveModelOptions;
  #present: Instance | undefined;
  /** The previous checkpoint, until it is closed. */
  #retired: Instance | undefined;
  #retirement: Promise<void> = Promise.resolve();
  /** The sums of all closed checkpoints. */
  #counted: GeneratorStats = IDLE_STATS;
  #outcomes = { replaced: 0, unchanged: 0, refused: 0, failed: 0 };
  #isReloading = false;
  #problem: string | undefined;
  readonly #closed = new AbortController();
  /** The state of the files at the last look, and the state that was last tried. */
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

  /** Number of reloads by result. */
  get outcomes(): Readonly<Record<ReloadOutcome["result"], number>> {
    return this.#outcomes;
  }

  /** Why the last reload kept the old checkpoint; undefined if it did not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** What /readyz reports about a reload; undefined if there is nothing to report. */
  get reloadNote(): string | undefined {
    return this.#isReloading ? "a new checkpoint is being loaded" : this.#problem;
  }

  /** Loads the first checkpoint. Call it once. @throws GptError */
  async start(found: FoundModel): Promise<Generator> {
    const instance = await this.#load(resolved(found));
    this.#present = instance;
    return instance.generator;
  }

  /** Replaces the checkpoint by the one that the model's name leads to now. Call one at a time. It never rejects. */
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
   * Whether a reload makes sense. The files must differ from those that serve, or the last reload must have failed. They must be
   * the same as at the last look, so that nobody writes them any more. And they must not be those that were last tried.
   */
  async isOutdated(freshness: Freshness): Promise<boolean> {
    const { directory } = await this.#options.find(freshness);
    const state = checkpointState(directory);
    const isSettled = state === this.#seen;
    this.#seen = state;
    const isDifferent = state !== this.#present?.state || this.#problem !== undefined;
    return isSettled && isDifferent && state !== this.#tried;
  }

  /** Counts over all checkpoints so far. The numbers of pages are those of the present one only. */
  stats(): GeneratorStats {
    const present = this.#present?.generator.stats() ?? IDLE_STATS;
    const retired = this.#retired?.generator.stats() ?? IDLE_STATS;
    return [retired, this.#counted].reduce(addStats, present);
  }

  /** Cancels open requests. A checkpoint that still loads is closed when it is loaded, without waiting for it. */
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

  /** Closes the old one first. If the new one then cannot be loaded, the old one is loaded again, if its files are still there. */
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
      else instance.end(); // A retired engine gets no new requests, and those that it had have failed.
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

/** Resolves symbolic links now: a link may lead to another directory by the time that the files are opened. */
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
