// Retries with exponential back-off. After a transient failure it waits 1, 2, 4, 8 and 8 seconds, or as long as the server
// asks for. Then it gives up. Progress resets the count, so that a large file still arrives over a bad line.
import type { Failure } from "./failure.ts";
import type { World } from "./world.ts";

const WAITS_MS: readonly number[] = [1000, 2000, 4000, 8000, 8000];
/** Each wait varies by this fraction, so that machines that failed together do not all retry together. */
const JITTER = 0.2;
/** The length of the hub's rate-limit window. If a server asks for a longer wait, there is no retry. */
const WAIT_MAX_MS = 300_000;

export interface HubContext {
  readonly world: World;
  /** Aborts waits and requests with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with one sentence for the user. */
  readonly onNotice: (text: string) => void;
}

export class Patience {
  readonly #context: HubContext;
  #numFailures = 0;

  constructor(context: HubContext) {
    this.#context = context;
  }

  /** To be called when new bytes have arrived. */
  progressed(): void {
    this.#numFailures = 0;
  }

  /**
   * Waits until it is time for the next attempt.
   * @throws GptError made from the failure, when no further attempt makes sense.
   */
  async after(failure: Failure): Promise<void> {
    const { isTransient, waitMs: asked, notice } = failure.facts;
    this.#numFailures += 1;
    const usual = WAITS_MS[this.#numFailures - 1];
    if (!isTransient || usual === undefined || (asked ?? 0) > WAIT_MAX_MS) {
      throw failure.toError(this.#numFailures);
    }
    const { world, signal, onNotice } = this.#context;
    if (notice !== undefined) onNotice(notice);
    await world.wait(asked ?? Math.round(usual * (1 + JITTER * (2 * world.random() - 1))), signal);
  }
}
