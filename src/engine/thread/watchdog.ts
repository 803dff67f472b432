// Detects an engine that hangs: it has requests, and has sent no message for too long. It reads no messages and ends no thread
// itself.
import type { Clock } from "./clock.ts";

/**
 * After a pause of the whole process (a paused container, a suspended machine) time has passed, but messages may still wait to be
 * read. So silence counts only if it is confirmed after this much more time.
 */
const SECOND_LOOK_MS = 1000;

export class Watchdog {
  readonly #clock: Clock;
  readonly #silenceMaxMs: number;
  readonly #isBusy: () => boolean;
  readonly #onSilence: () => void;
  #heardMs = 0;
  #stop: () => void = () => {};

  /** `onSilence` is called once, when nothing was heard for `silenceMaxMs` while `isBusy()`. Infinity: it is never called. */
  constructor(clock: Clock, silenceMaxMs: number, isBusy: () => boolean, onSilence: () => void) {
    this.#clock = clock;
    this.#silenceMaxMs = silenceMaxMs;
    this.#isBusy = isBusy;
    this.#onSilence = onSilence;
  }

  /** Starts watching. */
  start(): void {
    this.stop();
    this.heard();
    if (this.#silenceMaxMs !== Number.POSITIVE_INFINITY) this.#lookAfter(this.#silenceMaxMs);
  }

  /** To be called when the engine has sent a message, or gets work after being idle. */
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
