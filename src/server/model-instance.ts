// One loaded checkpoint of a model, and a count of the requests that use it. Once retired, it is closed after the last one.
import type { FoundModel } from "../generator/find-model.ts";
import type { Generator } from "../request/generation.ts";
import type { HeldGenerator } from "./doors/served-model.ts";

export class Instance {
  readonly found: FoundModel;
  readonly generator: Generator;
  /** The state of its files when they were read. */
  readonly state: string;
  isRetired = false;
  #numHolders = 0;
  #onFree: () => void = () => {};

  constructor(found: FoundModel, generator: Generator, state: string) {
    this.found = found;
    this.generator = generator;
    this.state = state;
  }

  hold(): HeldGenerator {
    this.#numHolders += 1;
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#numHolders -= 1;
      if (this.#numHolders === 0) this.#onFree();
    };
    return { generator: this.generator, release };
  }

  /** Closes it when no request holds it, at the latest after `lingerMs`. Resolves when it is closed. */
  async retire(lingerMs: number): Promise<void> {
    this.isRetired = true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onFree = resolve;
      if (this.#numHolders === 0) resolve();
      timer = setTimeout(resolve, lingerMs).unref();
    });
    clearTimeout(timer);
    await this.generator.close();
  }

  /** Ends the waiting of `retire`. */
  end(): void {
    this.#onFree();
  }
}
