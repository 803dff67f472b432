// Work that is done one after the other, whoever asks for it.

export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Begins when all that was ordered before is over, well or badly. */
  next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work);
    this.#last = done;
    return done;
  }
}
