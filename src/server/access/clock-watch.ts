// Notices when the system clock was set, or stood still while the machine slept. Signatures are checked against the system
// clock. Deadlines, limits and timings use a monotonic clock, so they are not affected.

/** A time service corrects smaller differences slowly, by letting the clock run a little faster for hours. */
const JUMP_SECONDS = 10;

export class ClockWatch {
  readonly #now: () => Date;
  readonly #elapsed: () => number;
  readonly #onJump: (message: string) => void;
  #offsetMs: number;

  /** `elapsed`: milliseconds of a monotonic clock. */
  constructor(now: () => Date, elapsed: () => number, onJump: (message: string) => void) {
    this.#now = now;
    this.#elapsed = elapsed;
    this.#onJump = onJump;
    this.#offsetMs = this.#offset();
  }

  /** Compares how far the two clocks have gone since the last check. */
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
