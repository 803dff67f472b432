// How fast the engine computed lately: tokens over seconds of its passes, the older the less they count. It reads no clock.

/** Of passes, after which what was before counts half. */
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
