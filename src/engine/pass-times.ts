// Predicts the time of a pass from its number of rows, by measurements while the engine works. It reads no clock; times are
// handed in. Only ratios of times are used, so any unit will do.

/** How many of the latest times are kept for each number of rows, and how many are needed to trust their median. */
const KEPT = 5;
const BELIEVED_MIN = 3;
/** Times that are older than this many passes are dropped: the load of the machine may have changed. */
const STALE_PASSES = 4096;
/**
 * The assumed cost of one more row, as a fraction of a pass of one row, where nothing was measured. It is cautious: two to three
 * times the real cost when passes are bound by memory bandwidth.
 */
const ROW_COST = 0.15;

interface Times {
  /** The latest times, oldest first. */
  readonly latest: number[];
  median: number;
  /** The number of the last pass with this many rows. */
  lastPass: number;
}

export class PassTimes {
  /** Indexed by number of rows, so at most as long as the largest pass. */
  readonly #times: (Times | undefined)[] = [];
  #numPasses = 0;

  /** Records the time of a pass of `rows` rows, all of them with logits. */
  observe(rows: number, time: number): void {
    this.#numPasses += 1;
    const known = this.#times[rows];
    const isStale = known === undefined || this.#isStale(known);
    const latest = isStale ? [time] : [...known.latest.slice(1 - KEPT), time];
    const median = latest.toSorted((a, b) => a - b)[(latest.length - 1) >> 1] as number;
    this.#times[rows] = { latest, median, lastPass: this.#numPasses };
  }

  /** The expected time of a pass of `rows` rows: measured, or extrapolated from the nearest measured number of rows. */
  of(rows: number): number {
    for (let distance = 0; distance < Math.max(rows, this.#times.length); distance++) {
      for (const near of [rows - distance, rows + distance]) {
        const time = this.#believed(near);
        if (time !== undefined) return (time * assumedCost(rows)) / assumedCost(near);
      }
    }
    return assumedCost(rows);
  }

  #believed(rows: number): number | undefined {
    const times = this.#times[rows];
    return times && times.latest.length >= BELIEVED_MIN && !this.#isStale(times) ? times.median : undefined;
  }

  #isStale({ lastPass }: Times): boolean {
    return this.#numPasses - lastPass > STALE_PASSES;
  }
}

function assumedCost(rows: number): number {
  return 1 + ROW_COST * (rows - 1);
}
