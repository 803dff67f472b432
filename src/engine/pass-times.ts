// What a pass costs by its number of rows, as measured while the engine works. It reads no clock: times are handed in. Only
// ratios of them are ever used, so the unit does not matter.

/** Of each number of rows so many of the latest times are kept, and as few as this are believed. */
const KEPT = 5;
const BELIEVED_MIN = 3;
/** After so many passes without a new one, times are measured afresh: the machine may have changed. */
const STALE_PASSES = 4096;
/**
 * What a further row is taken to cost, in parts of a pass of one row, where nothing was measured. Two to three times of what it
 * costs where passes are bound by memory.
 */
const ROW_COST = 0.15;

interface Times {
  /** The latest, oldest first. */
  readonly latest: number[];
  median: number;
  /** The number of the pass that was the last of so many rows. */
  lastPass: number;
}

export class PassTimes {
  /** By number of rows; as many entries as there are tokens in a pass at most. */
  readonly #times: (Times | undefined)[] = [];
  #numPasses = 0;

  /** Takes in how long a pass of `rows` rows took, each of them with logits. */
  observe(rows: number, time: number): void {
    this.#numPasses += 1;
    const known = this.#times[rows];
    const isStale = known === undefined || this.#isStale(known);
    const latest = isStale ? [time] : [...known.latest.slice(1 - KEPT), time];
    const median = latest.toSorted((a, b) => a - b)[(latest.length - 1) >> 1] as number;
    this.#times[rows] = { latest, median, lastPass: this.#numPasses };
  }

  /** How long a pass of `rows` rows takes: as measured, or derived from the nearest number of rows that was measured. */
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
