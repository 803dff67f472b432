// Limits for each key: requests per second (a token bucket) and requests open at the same time. A key is remembered only
// as long as it matters: while it has open requests, and until its bucket is full again.
import type { Settings } from "../../settings.ts";
import { AwsError } from "../http/http-errors.ts";

export type KeyLimitSettings = Pick<Settings, "keyRequestsMax" | "keyRequestsPerSecond">;

interface Use {
  /** Tokens in the bucket: requests that could be made at once. */
  tokens: number;
  /** The time for which `tokens` was computed, in milliseconds. */
  at: number;
  open: number;
}

/** A bucket holds the tokens of one second, so an empty one is full after that time. */
const REFILL_MS = 1000;

export class KeyLimits {
  readonly #perSecond: number;
  readonly #openMax: number;
  readonly #now: () => number;
  /** Keys with open requests. */
  readonly #busy = new Map<string, Use>();
  /** Keys without open requests whose bucket may not be full yet, the least recently used first. */
  readonly #idle = new Map<string, Use>();

  /** `now`: milliseconds of a monotonic clock. */
  constructor(settings: KeyLimitSettings, now: () => number) {
    this.#perSecond = settings.keyRequestsPerSecond;
    this.#openMax = settings.keyRequestsMax;
    this.#now = now;
  }

  /** The number of keys that are remembered. */
  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /**
   * Counts an open request. The returned function ends it.
   * @throws AwsError ThrottlingException (429) with Retry-After.
   */
  enter(keyId: string): () => void {
    this.#forget();
    const use = this.#busy.get(keyId) ??
      this.#idle.get(keyId) ?? { tokens: this.#perSecond, at: this.#now(), open: 0 };
    if (this.#openMax > 0 && use.open >= this.#openMax) {
      throw throttled(`${use.open} requests of this key are open, and it may not have more`, 1);
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

  /** Forgets keys that were idle long enough for their bucket to be full. */
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
      if (this.#idle.delete(keyId)) this.#idle.set(keyId, use); // Moves it to the end, as the most recently used.
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
