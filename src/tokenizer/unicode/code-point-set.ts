// Sets of code points as ranges: union, complement, difference, and membership of one code point. The named sets of Unicode are
// in classes.ts.

const END = 0x110000;
const LOW_END = 0x10000;

/** Alternating begins and ends, ascending: [0x30, 0x3a] holds the digits 0 to 9. */
export type Bounds = readonly number[];

export const EVERYTHING: Bounds = [0, END];

/** Single code points, and pairs of first and last, in any order. */
export function boundsOf(...members: readonly (number | readonly [first: number, last: number])[]): Bounds {
  return union(...members.map((m) => (typeof m === "number" ? [m, m + 1] : [m[0], m[1] + 1])));
}

export function union(...sets: readonly Bounds[]): Bounds {
  const ranges: (readonly [number, number])[] = [];
  for (const bounds of sets) {
    for (let i = 0; i < bounds.length; i += 2) ranges.push([bounds[i]!, bounds[i + 1]!]);
  }
  ranges.sort(([a], [b]) => a - b);
  const joined: number[] = [];
  for (const [start, end] of ranges) {
    const last = joined.length - 1;
    if (last >= 0 && start <= joined[last]!) joined[last] = Math.max(joined[last]!, end);
    else joined.push(start, end);
  }
  return joined;
}

/** The code points in none of the sets. */
export function complement(...sets: readonly Bounds[]): Bounds {
  const bounds = union(...sets);
  const from = bounds[0] === 0 ? bounds.slice(1) : [0, ...bounds];
  return from.at(-1) === END ? from.slice(0, -1) : [...from, END];
}

export function intersection(a: Bounds, b: Bounds): Bounds {
  return complement(complement(a), complement(b));
}

/** The code points in exactly one of two sets. */
export function difference(a: Bounds, b: Bounds): Bounds {
  return union(intersection(a, complement(b)), intersection(b, complement(a)));
}

export class CodePointSet {
  readonly #bounds: Uint32Array;
  /** A bit for each code point of the first plane, where nearly all text lies. */
  readonly #low = new Uint8Array(LOW_END >> 3);

  constructor(bounds: Bounds) {
    this.#bounds = Uint32Array.from(bounds);
    for (let i = 0; i < bounds.length; i += 2) {
      const end = Math.min(bounds[i + 1]!, LOW_END);
      for (let code = bounds[i]!; code < end; code++) this.#low[code >> 3]! |= 1 << (code & 7);
    }
  }

  has(code: number): boolean {
    if (code < LOW_END) return ((this.#low[code >> 3]! >> (code & 7)) & 1) === 1;
    // Binary search: an odd number of bounds at or below the code point means that it is inside.
    let [low, high] = [0, this.#bounds.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#bounds[middle]! <= code) low = middle + 1;
      else high = middle;
    }
    return (low & 1) === 1;
  }
}
