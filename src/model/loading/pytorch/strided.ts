// The numbers of a tensor in row-major order, from a storage in which they may lie in any: transposed, every n-th, repeated.

/** Where they lie. */
export interface Layout {
  /** Byte of the first number. */
  readonly begin: number;
  /** Bytes of a number. */
  readonly width: number;
  readonly shape: readonly number[];
  /** In numbers. */
  readonly strides: readonly number[];
}

type Read = (into: Uint8Array, position: number) => void;

/** Runs of at least so many bytes are read one by one. */
const RUN_BYTES_MIN = 512;
/** What is no longer is held in memory, as long as the tensor is, when its numbers lie one by one. */
const EXTENT_BYTES_MAX = 2 ** 31;

/** Fills `into` with the numbers from number `first` on; `read` takes positions in bytes. */
export function stridedReader(read: Read, layout: Layout): (first: number, into: Uint8Array) => void {
  const { begin, width, shape, strides } = layout;
  const run = runLength(layout);
  if (run >= product(shape)) return (first, into) => read(into, begin + first * width);
  const extent = (shape.reduce((last, n, i) => last + (n - 1) * (strides[i] as number), 0) + 1) * width;
  if (run * width >= RUN_BYTES_MIN || extent > EXTENT_BYTES_MAX) {
    return (first, into) => gather(layout, run, first, into, read);
  }
  let held: Uint8Array | undefined;
  return (first, into) => {
    if (held === undefined) {
      held = new Uint8Array(extent);
      read(held, begin);
    }
    pick(layout, first, into, held);
  };
}

/** How many numbers lie side by side, at least: those of the last dimensions. */
function runLength({ shape, strides }: Layout): number {
  let run = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== run) break;
    run *= shape[i] as number;
  }
  return run;
}

function gather(layout: Layout, run: number, first: number, into: Uint8Array, read: Read): void {
  const { begin, width } = layout;
  const end = first + into.length / width;
  for (let at = first; at < end; ) {
    const count = Math.min(run - (at % run), end - at);
    const offset = (at - first) * width;
    read(into.subarray(offset, offset + count * width), begin + width * placeOf(layout, at));
    at += count;
  }
}

/** Copies numbers one by one from memory: every row of the last dimension in steps of its stride. */
function pick(layout: Layout, first: number, into: Uint8Array, held: Uint8Array): void {
  const { width, shape, strides } = layout;
  const [length, stride] = [shape.at(-1) as number, strides.at(-1) as number];
  const end = first + into.length / width;
  for (let at = first; at < end; ) {
    const rowEnd = Math.min(end, at + length - (at % length));
    let from = width * placeOf(layout, at);
    for (; at < rowEnd; at++, from += width * stride) {
      const to = (at - first) * width;
      for (let byte = 0; byte < width; byte++) into[to + byte] = held[from + byte] as number;
    }
  }
}

/** Of a number, in numbers from the first. */
function placeOf({ shape, strides }: Layout, index: number): number {
  let [rest, place] = [index, 0];
  for (let i = shape.length - 1; i >= 0; i--) {
    const length = shape[i] as number;
    place += (rest % length) * (strides[i] as number);
    rest = Math.floor(rest / length);
  }
  return place;
}

function product(shape: readonly number[]): number {
  return shape.reduce((all, n) => all * n, 1);
}
