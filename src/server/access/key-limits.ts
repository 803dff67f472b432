// How much one key may ask for: requests a second (a bucket that refills) and requests that are open at a time. Counts
// live only as long as they matter; callers are authenticated before they get here, so there are as many as keys.
import type { Settings } from "../../settings.ts";
import { AwsError } from "../http/http-errors.ts";

interface Use {
  /** Requests that may be made at once now. */
  tokens: number;
  /** When `tokens` was right, in milliseconds. */
  at: number;
  open: number;
}

export class KeyLimits {
  readonly #perSecond: number;
  readonly #openMax: number;
  readonly #now: () => number;
  readonly #uses = new Map<string, Use>();

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(settings: Pick<Settings, "keyRequestsPerSecond" | "keyRequestsMax">, now: () => number) {
    this.#perSecond = settings.keyRequestsPerSecond;
    this.#openMax = settings.keyRequestsMax;
    this.#now = now;
  }

  /**
   * Counts a request in; the function that is returned counts it out.
   * @throws AwsError ThrottlingException (429) with Retry-After.
   */
  enter(keyId: string): () => void {
    const use = this.#uses.get(keyId) ?? { tokens: this.#perSecond, at: this.#now(), open: 0 };
    this.#uses.set(keyId, use);
    if (this.#openMax > 0 && use.open >= this.#openMax) {
      throw throttled(`${use.open} requests of this key are open, as many as it may have`, 1);
    }
    this.#take(use);
    use.open++;
    let left = false;
    return () => {
      if (!left) use.open--;
      left = true;
    };
  }

  #take(use: Use): void {
    if (this.#perSecond === 0) return;
    const now = this.#now();
    use.tokens = Math.min(this.#perSecond, use.tokens + ((now - use.at) / 1000) * this.#perSecond);
    use.at = now;
    if (use.tokens < 1) {
      const seconds = Math.ceil((1 - use.tokens) / this.#perSecond);
      throw throttled(`Rate exceeded: this key may make ${this.#perSecond} requests a second`, seconds);
    }
    use.tokens--;
  }
}

function throttled(message: string, retryAfterSeconds: number): AwsError {
  return new AwsError("ThrottlingException", message, {
    headers: { "retry-after": String(retryAfterSeconds) },
  });
}
