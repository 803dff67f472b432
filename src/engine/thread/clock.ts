// The clock of the code around the engine, as an interface, so that tests can pass their own. The scheduler reads no clock.

export interface Clock {
  /** Milliseconds since some fixed moment. Never goes back. */
  now(): number;
  /** Calls `action` after `ms` milliseconds. Calling the returned function cancels that. */
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
