// A queue of asynchronous work: one piece at a time, in the order of the calls.

export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all earlier work is over, whether it succeeded or failed. */
  next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work);
    this.#last = done;
    return done;
  }
}
