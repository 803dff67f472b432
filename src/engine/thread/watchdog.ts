// Notices an engine that stands still: something is to be done, and nothing was heard for too long. It reads no message and
// ends no thread.
import type { Clock } from "./clock.ts";

/**
 * When a whole process was stopped and goes on (a paused container, a suspended machine), time has passed and messages wait
 * to be read. So silence counts only after one more look, this much later.
 */
const SECOND_LOOK_MS = 1000;

export class Watchdog {
  readonly #clock: Clock;
  readonly #silenceMaxMs: number;
  readonly #isBusy: () => boolean;
  readonly #onSilence: () => void;
  #heardMs = 0;
  #stop: () => void = () => {};

  /** `onSilence` is called once when nothing was heard for `silenceMaxMs` (Infinity: never) while `isBusy`. */
  constructor(clock: Clock, silenceMaxMs: number, isBusy: () => boolean, onSilence: () => void) {
    this.#clock = clock;
    this.#silenceMaxMs = silenceMaxMs;
    this.#isBusy = isBusy;
    this.#onSilence = onSilence;
  }

  /** Begins to watch. */
  start(): void {
    this.stop();
    this.heard();
    if (this.#silenceMaxMs !== Number.POSITIVE_INFINITY) this.#lookAfter(this.#silenceMaxMs);
  }

  /** The engine gave a sign of life, or got work after it had none. */
  heard(): void {
    this.#heardMs = this.#clock.now();
  }

  stop(): void {
    this.#stop();
  }

  #lookAfter(ms: number): void {
    this.#stop = this.#clock.after(ms, () => this.#look());
  }

  #look(): void {
    if (!this.#isBusy()) this.heard();
    const leftMs = this.#heardMs + this.#silenceMaxMs - this.#clock.now();
    if (leftMs > 0) {
      this.#lookAfter(leftMs);
      return;
    }
    const heardMs = this.#heardMs;
    this.#stop = this.#clock.after(Math.min(SECOND_LOOK_MS, this.#silenceMaxMs), () => {
      if (this.#heardMs === heardMs && this.#isBusy()) this.#onSilence();
      else this.#look();
    });
  }
}
