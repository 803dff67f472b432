// Notices that the system clock was set, or stood while the machine slept. Signatures are checked against that clock;
// deadlines, limits and timings follow one that never jumps, and go on as if nothing had happened.

/** Larger than what a time service corrects by running a little faster for hours. */
const JUMP_SECONDS = 10;

export class ClockWatch {
  readonly #now: () => Date;
  readonly #elapsed: () => number;
  readonly #onJump: (message: string) => void;
  #offsetMs: number;

  /** `elapsed`: milliseconds of a clock that never jumps. */
  constructor(now: () => Date, elapsed: () => number, onJump: (message: string) => void) {
    this.#now = now;
    this.#elapsed = elapsed;
    this.#onJump = onJump;
    this.#offsetMs = this.#offset();
  }

  /** Compares the clocks with the last time. */
  check(): void {
    const offsetMs = this.#offset();
    const seconds = Math.round((offsetMs - this.#offsetMs) / 1000);
    this.#offsetMs = offsetMs;
    if (Math.abs(seconds) < JUMP_SECONDS) return;
    this.#onJump(
      `The system clock went ${Math.abs(seconds)} seconds ${seconds > 0 ? "forward" : "back"} at once: it was set, or ` +
        "the machine slept; signatures are checked against it, deadlines and limits are not",
    );
  }

  #offset(): number {
    return this.#now().getTime() - this.#elapsed();
  }
}
