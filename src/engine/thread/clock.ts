// Time as the engine's callers see it, so that tests can bring their own. The scheduler reads no clock.

export interface Clock {
  /** Milliseconds from some fixed moment, never going back. */
  now(): number;
  /** Calls `action` after `ms` milliseconds, unless the returned function is called before. */
  after(ms: number, action: () => void): () => void;
}

/** The machine's monotonic clock, the same in all threads of the process. It does not keep the process alive. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Number(process.hrtime.bigint()) / 1e6,
  after(ms, action) {
    const timer = setTimeout(action, ms).unref();
    return () => clearTimeout(timer);
  },
};
