// Reads a tensor's numbers in row-major order from a storage with strides: there they may be transposed, repeated, or every n-th
// number.

/** Where the numbers are. */
export interface Layout {
  /** Position of the first number in the file, in bytes. */
  readonly begin: number;
  /** Bytes of a number. */
  readonly width: number;
  readonly shape: readonly number[];
  /** Counted in numbers. */
  readonly strides: readonly number[];
}

type Read = (into: Uint8Array, position: number) => void;

/** If runs of neighbouring numbers have at least so many bytes, each run is read from the file by itself. */
const RUN_BYTES_MIN = 512;
/** Otherwise the whole tensor is held in memory while it is read, if it has at most so many bytes. */
const EXTENT_BYTES_MAX = 2 ** 31;

/** Returns a function that fills `into` with the numbers from index `first` on. `read` takes positions in bytes. */
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

/** How many numbers are neighbours in the storage: those of the last dimensions. */
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

/** Copies numbers one by one from memory. Along the last dimension it steps by that dimension's stride. */
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

/** The place in the storage of the number with this row-major index, counted in numbers from the first one. */
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
