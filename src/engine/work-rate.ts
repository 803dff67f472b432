// How fast the engine computed recently: tokens divided by seconds of its passes, with exponentially decaying weights. It reads
// no clock.

/** After this many seconds of passes, what was before counts half. */
const HALF_LIFE_SECONDS = 5;

export class WorkRate {
  #tokens = 0;
  #seconds = 0;

  passed(tokens: number, seconds: number): void {
    const left = 0.5 ** (seconds / HALF_LIFE_SECONDS);
    this.#tokens = this.#tokens * left + tokens;
    this.#seconds = this.#seconds * left + seconds;
  }

  /** 0 before the first pass. */
  get tokensPerSecond(): number {
    return this.#seconds === 0 ? 0 : this.#tokens / this.#seconds;
  }
}
