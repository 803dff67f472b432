// How long the hub is asked again: after a failure that may pass it waits 1, 2, 4, 8 and 8 seconds, or as long as the
// server asks for, and then gives up. Progress begins the count anew, so that a large file on a bad line still arrives.
import type { Failure } from "./failure.ts";
import type { World } from "./world.ts";

const WAITS_MS: readonly number[] = [1000, 2000, 4000, 8000, 8000];
/** So that many machines that failed together do not come back together. */
const JITTER = 0.2;
/** The window of the hub's rate limit; whoever asks for more is not waited for. */
const WAIT_MAX_MS = 300_000;

export interface Surroundings {
  readonly world: World;
  /** Ends waits and requests, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Is told in one sentence what a person should know. */
  readonly onNotice: (text: string) => void;
}

export class Patience {
  readonly #around: Surroundings;
  #numFailures = 0;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Something arrived that had not been here. */
  progressed(): void {
    this.#numFailures = 0;
  }

  /**
   * Waits until another attempt makes sense.
   * @throws GptError with the failure's sentence when none does.
   */
  async after(failure: Failure): Promise<void> {
    const { isTransient, waitMs: asked, notice } = failure.facts;
    this.#numFailures += 1;
    const usual = WAITS_MS[this.#numFailures - 1];
    if (!isTransient || usual === undefined || (asked ?? 0) > WAIT_MAX_MS) {
      throw failure.toError(this.#numFailures);
    }
    const { world, signal, onNotice } = this.#around;
    if (notice !== undefined) onNotice(notice);
    await world.wait(asked ?? Math.round(usual * (1 + JITTER * (2 * world.random() - 1))), signal);
  }
}
