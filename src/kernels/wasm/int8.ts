// y = x·W + b with 8-bit weights and 14-bit activations, each with one scale a group of 64 along k. The sum of a group
// is an exact integer; groups are added in ascending order to one f32 accumulator an output:
//   acc = acc + f32(isum) · (weight scale · activation scale)
// so that the bits depend neither on tiling nor on the width of the machine's vectors. Weights lie in blocks of 16 outputs
// by one group, [N/16][K/64], so that a thread reads ascending streams: [16][16 outputs][4 k] bytes, whose lanes are
// outputs in vectors of any width, and then the 16 scales.
import { widen } from "./half";
import * as halves from "./int8-halves";
import * as words from "./int8-words";
import { finish, STREAMS } from "./matmul";

const BLOCK_BYTES: usize = 1088; // 16 outputs × 64 weights, 16 scales
const OUT_BYTES: usize = 64; // 16 outputs of 4 bytes
const SUM_BYTES: usize = 3 * OUT_BYTES; // sums of three rows against one block
const LARGEST: f32 = 8191; // 14 bits with sign

/** Items are groups: x[rows, K] → q[rows, K'] (int16, K' = K rounded up to 64, zero-padded) and scales[rows, K'/64]. */
export function quantize(q: usize, scales: usize, x: usize, width: i32, rows: i32, first: i32, last: i32): void {
  const groups = (width + 63) >> 6;
  const stride = <usize>((width + 15) & ~15) << 2;
  for (let row = 0; row < rows; row++) {
    const from = x + <usize>row * stride;
    const to = q + <usize>row * (<usize>groups << 7);
    const scale = scales + <usize>row * (<usize>groups << 2);
    for (let group = first; group < last; group++) {
      const count = min(64, width - (group << 6));
      const at = <usize>group << 6;
      store<f32>(scale + (<usize>group << 2), quantizeGroup(to + (at << 1), from + (at << 2), count));
    }
  }
}

/** Quantises one group and returns its scale. */
function quantizeGroup(q: usize, x: usize, count: i32): f32 {
  let largest: f32 = 0;
  let i = 0;
  if (count == 64) {
    let m = f32x4.splat(0);
    for (; i < 64; i += 4) m = f32x4.max(m, f32x4.abs(v128.load(x + (<usize>i << 2))));
    largest = max(
      max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)),
      max(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)),
    );
  } else {
    for (let k = 0; k < count; k++) largest = max(largest, abs(load<f32>(x + (<usize>k << 2))));
  }
  const inverse: f32 = largest > 0 ? LARGEST / largest : 0;
  if (count == 64) {
    const v = f32x4.splat(inverse);
    for (i = 0; i < 64; i += 8) {
      const low = f32x4.nearest(f32x4.mul(v128.load(x + (<usize>i << 2)), v));
      const high = f32x4.nearest(f32x4.mul(v128.load(x + (<usize>i << 2), 16), v));
      const eight = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(low), i32x4.trunc_sat_f32x4_s(high));
      if (ASC_FEATURE_RELAXED_SIMD) halves.storeActivations(q, i, eight);
      else words.storeActivations(q, i, eight);
    }
  } else {
    for (; i < 64; i++) {
      const value = i < count ? <i32>nearest<f32>(load<f32>(x + (<usize>i << 2)) * inverse) : 0;
      if (ASC_FEATURE_RELAXED_SIMD) halves.storeActivation(q, i, value);
      else words.storeActivation(q, i, value);
    }
  }
  return largest / LARGEST;
}

/**
 * Touches the next two lines of each of eight blocks, `step` bytes apart, and returns where the two after them are: a
 * load whose value is dropped has its line fetched, and nothing waits for it.
 */
// @ts-ignore: decorator
@inline
function fetchAhead(next: usize, step: usize): usize {
  for (let i = 0, line = next; i < STREAMS; i++, line += step) {
    load<i32>(line);
    load<i32>(line, 64);
  }
  return next + 128;
}

/**
 * `rows` (1 to 3) rows against one block of each of `streams` streams, which begin `weightStep` bytes apart and give
 * outputs `outStep` bytes apart. `sums`: room for three rows of 16 outputs a stream. `isCold`: these are the first rows,
 * so that weights come from memory; the next blocks of all streams are then fetched a little with every block, as
 * memory is faster on several streams at once than on one block after another.
 */
function tile(
  out: usize,
  outStride: usize,
  q: usize,
  qStride: usize,
  scale: usize,
  scaleStride: usize,
  w: usize,
  bias: usize,
  groups: i32,
  epilogue: i32,
  rows: i32,
  streams: i32,
  weightStep: usize,
  outStep: usize,
  sums: usize,
  isCold: bool,
): void {
  const end = sums + <usize>streams * SUM_BYTES;
  for (let acc = sums; acc < end; acc += 16) v128.store(acc, f32x4.splat(0));
  const fetchStep: usize = streams > 1 ? weightStep : 128; // a lone stream: all lines of its next block
  for (let group = 0; group < groups; group++) {
    let block = w;
    let next = group + 1 < groups ? w + BLOCK_BYTES : w;
    for (let acc = sums; acc < end; acc += SUM_BYTES, block += weightStep) {
      if (isCold) next = fetchAhead(next, fetchStep);
      if (ASC_FEATURE_RELAXED_SIMD) {
        if (rows == 1) halves.group1(acc, q, scale, block);
        else if (rows == 2) halves.groups(acc, q, qStride, scale, scaleStride, block, 2);
        else halves.groups(acc, q, qStride, scale, scaleStride, block, 3);
      } else {
        if (rows == 1) words.group1(acc, q, scale, block);
        else if (rows == 2) words.groups(acc, q, qStride, scale, scaleStride, block, 2);
        else words.groups(acc, q, qStride, scale, scaleStride, block, 3);
      }
    }
    w += BLOCK_BYTES;
    q += 128;
    scale += 4;
  }
  for (let acc = sums; acc < end; acc += SUM_BYTES, out += outStep) {
    for (let row: usize = 0; row < <usize>rows; row++) {
      for (let at: usize = 0; at < OUT_BYTES; at += 16) {
        const sum = v128.load(acc + row * OUT_BYTES + at);
        finish(out + row * outStride + at, sum, bias ? bias + at : 0, epilogue);
      }
    }
    if (bias) bias += outStep;
  }
}

/**
 * Blocks of 16 outputs `first` to `last` of y[rows, N] from q[rows, K'] and its scales; `bias` 0 means none.
 * With few rows memory is the limit, and one ascending stream does not reach it: the processor fetches ahead of each
 * of several streams. So the blocks are cut into runs that are walked side by side.
 */
export function matmulInt8(
  out: usize,
  q: usize,
  scales: usize,
  weight: usize,
  bias: usize,
  rows: i32,
  inWidth: i32,
  outWidth: i32,
  epilogue: i32,
  sums: usize,
  first: i32,
  last: i32,
): void {
  const groups = (inWidth + 63) >> 6;
  const blockBytes = <usize>groups * BLOCK_BYTES;
  const outStride = <usize>((outWidth + 15) & ~15) << 2;
  const run = (last - first) / STREAMS;
  for (let block = first; block < last; ) {
    // The blocks that are left after the runs are a stream of their own.
    const isRun = block < first + run;
    const streams = isRun ? STREAMS : 1;
    const w = weight + <usize>block * blockBytes;
    const at = <usize>block * OUT_BYTES;
    const b = bias ? bias + at : 0;
    let y = out + at;
    let x = q;
    let s = scales;
    for (let left = rows; left > 0; ) {
      const count = left == 4 ? 2 : min(left, 3); // 4 rows are two pairs
      tile(
        y, outStride, x, <usize>groups << 7, s, <usize>groups << 2, w, b, groups, epilogue,
        count, streams, <usize>run * blockBytes, <usize>run * OUT_BYTES, sums, left == rows,
      );
      y += outStride * count;
      x += (<usize>groups << 7) * count;
      s += (<usize>groups << 2) * count;
      left -= count;
    }
    block += 1;
    if (isRun && block == first + run) block = first + run * STREAMS;
  }
}

/** x[r] = wte[token[r]] + wpe[position[r]]; wte in half precision, [V, C]. */
export function embedHalf(
  out: usize,
  tokens: usize,
  positions: usize,
  wte: usize,
  wpe: usize,
  width: i32,
  first: i32,
  last: i32,
): void {
  const stride = <usize>((width + 15) & ~15) << 2;
  for (let row = first; row < last; row++) {
    const half = wte + <usize>load<i32>(tokens + (<usize>row << 2)) * (<usize>width << 1);
    const add = wpe + <usize>load<i32>(positions + (<usize>row << 2)) * stride;
    const x = out + <usize>row * stride;
    for (let i: usize = 0; i < <usize>width; i++) {
      store<f32>(x + (i << 2), f32x4.extract_lane(widen(i32x4.splat(load<u16>(half + (i << 1)))), 0) + load<f32>(add + (i << 2)));
    }
  }
}
