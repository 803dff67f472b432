// How much one key may ask for: requests a second (a bucket that refills) and requests that are open at a time. A key is
// remembered only while that can matter: while it has open requests, and until its bucket is full again.
import type { Settings } from "../../settings.ts";
import { AwsError } from "../http/http-errors.ts";

interface Use {
  /** Requests that may be made at once now. */
  tokens: number;
  /** When `tokens` was right, in milliseconds. */
  at: number;
  open: number;
}

/** A bucket holds what it gets in a second, so it is full after that. */
const REFILL_MS = 1000;

export class KeyLimits {
  readonly #perSecond: number;
  readonly #openMax: number;
  readonly #now: () => number;
  /** Keys with open requests. */
  readonly #busy = new Map<string, Use>();
  /** The others whose bucket may not be full, in the order in which they were used last. */
  readonly #idle = new Map<string, Use>();

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(settings: Pick<Settings, "keyRequestsPerSecond" | "keyRequestsMax">, now: () => number) {
    this.#perSecond = settings.keyRequestsPerSecond;
    this.#openMax = settings.keyRequestsMax;
    this.#now = now;
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /**
   * Counts a request in; the function that is returned counts it out.
   * @throws AwsError ThrottlingException (429) with Retry-After.
   */
  enter(keyId: string): () => void {
    this.#forget();
    const use = this.#busy.get(keyId) ??
      this.#idle.get(keyId) ?? { tokens: this.#perSecond, at: this.#now(), open: 0 };
    if (this.#openMax > 0 && use.open >= this.#openMax) {
      throw throttled(`${use.open} requests of this key are open, as many as it may have`, 1);
    }
    this.#take(keyId, use);
    use.open++;
    this.#idle.delete(keyId);
    this.#busy.set(keyId, use);
    let left = false;
    return () => {
      if (!left) this.#leave(keyId, use);
      left = true;
    };
  }

  #leave(keyId: string, use: Use): void {
    use.open--;
    if (use.open > 0) return;
    this.#busy.delete(keyId);
    this.#idle.set(keyId, use);
    this.#forget();
  }

  /** Forgets idle keys whose bucket is full by now: at the latest all that were idle for the time in which it fills. */
  #forget(): void {
    const now = this.#now();
    for (const [keyId, { at }] of this.#idle) {
      if (this.#perSecond > 0 && now - at < REFILL_MS) return;
      this.#idle.delete(keyId);
    }
  }

  #take(keyId: string, use: Use): void {
    if (this.#perSecond === 0) return;
    const now = this.#now();
    use.tokens = Math.min(this.#perSecond, use.tokens + ((now - use.at) / 1000) * this.#perSecond);
    use.at = now;
    if (use.tokens < 1) {
      if (this.#idle.delete(keyId)) this.#idle.set(keyId, use); // It was used just now.
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
