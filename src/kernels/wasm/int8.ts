// y = x·W + b with 8-bit weights and 14-bit activations, each with one scale a group of 64 along k. The sum of a group
// is an exact integer; groups are added in ascending order to one f32 accumulator an output:
//   acc = acc + f32(isum) · (weight scale · activation scale)
// so that the bits depend neither on tiling nor on the width of the machine's vectors. Weights lie in blocks of four
// outputs by one group, 4 × 64 bytes and then the four scales, [N/4][K/64], so that a thread reads ascending streams.
import { widen } from "./half";
import { finish, STREAMS } from "./matmul";

const BLOCK_BYTES: usize = 272; // 4 outputs × 64 weights, 4 scales
const SUM_BYTES: usize = 48; // sums of three rows against one block
const LARGEST: f32 = 8191; // 14 bits with sign

/** Items are rows: x[rows, K] → q[rows, K'] (int16, K' = K rounded up to 64, zero-padded) and scales[rows, K'/64]. */
export function quantize(q: usize, scales: usize, x: usize, width: i32, first: i32, last: i32): void {
  const groups = (width + 63) >> 6;
  const stride = <usize>((width + 15) & ~15) << 2;
  for (let row = first; row < last; row++) {
    const from = x + <usize>row * stride;
    const to = q + <usize>row * (<usize>groups << 7);
    const scale = scales + <usize>row * (<usize>groups << 2);
    for (let group = 0; group < groups; group++) {
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
    for (; i < count; i++) largest = max(largest, abs(load<f32>(x + (<usize>i << 2))));
  }
  const inverse: f32 = largest > 0 ? LARGEST / largest : 0;
  if (count == 64) {
    const v = f32x4.splat(inverse);
    for (i = 0; i < 64; i += 8) {
      const low = f32x4.nearest(f32x4.mul(v128.load(x + (<usize>i << 2)), v));
      const high = f32x4.nearest(f32x4.mul(v128.load(x + (<usize>i << 2), 16), v));
      const words = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(low), i32x4.trunc_sat_f32x4_s(high));
      v128.store(q + (<usize>i << 1), words);
    }
  } else {
    for (i = 0; i < count; i++) {
      store<i16>(q + (<usize>i << 1), <i16>(<i32>nearest<f32>(load<f32>(x + (<usize>i << 2)) * inverse)));
    }
    for (; i < 64; i++) store<i16>(q + (<usize>i << 1), 0);
  }
  return largest / LARGEST;
}

/** The four sums of four vectors, as one vector: unpack, add, unpack, add. */
// @ts-ignore: decorator
@inline
function reduce4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return i32x4.add(i32x4.shuffle(ab, cd, 0, 1, 4, 5), i32x4.shuffle(ab, cd, 2, 3, 6, 7));
}

/** Adds the group sums a … d of four outputs to their accumulator. */
// @ts-ignore: decorator
@inline
function addGroup(sum: v128, a: v128, b: v128, c: v128, d: v128, weightScales: v128, scale: usize): v128 {
  const scales = f32x4.mul(weightScales, v128.load32_splat(scale));
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(reduce4(a, b, c, d)), scales));
}

// @ts-ignore: decorator
@inline
function madd(sum: v128, w: v128, x: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(w, x));
}

/** Adds one group of one row against one block to its sums at `acc`. */
// @ts-ignore: decorator
@inline
function group1(acc: usize, q: usize, scale: usize, w: usize): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const end = w + 64;
  for (; w < end; w += 16, q += 32) {
    const x0 = v128.load(q);
    const x1 = v128.load(q, 16);
    a = madd(madd(a, v128.load8x8_s(w), x0), v128.load8x8_s(w, 8), x1);
    b = madd(madd(b, v128.load8x8_s(w, 64), x0), v128.load8x8_s(w, 72), x1);
    c = madd(madd(c, v128.load8x8_s(w, 128), x0), v128.load8x8_s(w, 136), x1);
    d = madd(madd(d, v128.load8x8_s(w, 192), x0), v128.load8x8_s(w, 200), x1);
  }
  v128.store(acc, addGroup(v128.load(acc), a, b, c, d, v128.load(end, 192), scale));
}

/** Two rows against one block: a weight is widened once for both. */
// @ts-ignore: decorator
@inline
function group2(acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize): void {
  let a0 = i32x4.splat(0);
  let b0 = a0;
  let c0 = a0;
  let d0 = a0;
  let a1 = a0;
  let b1 = a0;
  let c1 = a0;
  let d1 = a0;
  const end = w + 64;
  for (; w < end; w += 8, q += 16) {
    const x0 = v128.load(q);
    const x1 = v128.load(q + qStride);
    let v = v128.load8x8_s(w);
    a0 = madd(a0, v, x0);
    a1 = madd(a1, v, x1);
    v = v128.load8x8_s(w, 64);
    b0 = madd(b0, v, x0);
    b1 = madd(b1, v, x1);
    v = v128.load8x8_s(w, 128);
    c0 = madd(c0, v, x0);
    c1 = madd(c1, v, x1);
    v = v128.load8x8_s(w, 192);
    d0 = madd(d0, v, x0);
    d1 = madd(d1, v, x1);
  }
  const weightScales = v128.load(end, 192);
  v128.store(acc, addGroup(v128.load(acc), a0, b0, c0, d0, weightScales, scale));
  v128.store(acc, addGroup(v128.load(acc, 16), a1, b1, c1, d1, weightScales, scale + scaleStride), 16);
}

/** Three rows against one block: the most rows whose twelve group sums stay in registers. */
// @ts-ignore: decorator
@inline
function group3(acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize): void {
  let a0 = i32x4.splat(0);
  let b0 = a0;
  let c0 = a0;
  let d0 = a0;
  let a1 = a0;
  let b1 = a0;
  let c1 = a0;
  let d1 = a0;
  let a2 = a0;
  let b2 = a0;
  let c2 = a0;
  let d2 = a0;
  const q2 = qStride * 2;
  const end = w + 64;
  for (; w < end; w += 8, q += 16) {
    const x0 = v128.load(q);
    const x1 = v128.load(q + qStride);
    const x2 = v128.load(q + q2);
    let v = v128.load8x8_s(w);
    a0 = madd(a0, v, x0);
    a1 = madd(a1, v, x1);
    a2 = madd(a2, v, x2);
    v = v128.load8x8_s(w, 64);
    b0 = madd(b0, v, x0);
    b1 = madd(b1, v, x1);
    b2 = madd(b2, v, x2);
    v = v128.load8x8_s(w, 128);
    c0 = madd(c0, v, x0);
    c1 = madd(c1, v, x1);
    c2 = madd(c2, v, x2);
    v = v128.load8x8_s(w, 192);
    d0 = madd(d0, v, x0);
    d1 = madd(d1, v, x1);
    d2 = madd(d2, v, x2);
  }
  const weightScales = v128.load(end, 192);
  v128.store(acc, addGroup(v128.load(acc), a0, b0, c0, d0, weightScales, scale));
  v128.store(acc, addGroup(v128.load(acc, 16), a1, b1, c1, d1, weightScales, scale + scaleStride), 16);
  v128.store(acc, addGroup(v128.load(acc, 32), a2, b2, c2, d2, weightScales, scale + scaleStride * 2), 32);
}

/**
 * `rows` (1 to 3) rows against one block of each of `streams` streams, which begin `weightStep` bytes apart and give
 * outputs `outStep` bytes apart. `sums`: room for three vectors a stream.
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
): void {
  const end = sums + <usize>streams * SUM_BYTES;
  for (let acc = sums; acc < end; acc += 16) v128.store(acc, f32x4.splat(0));
  for (let group = 0; group < groups; group++) {
    let block = w;
    for (let acc = sums; acc < end; acc += SUM_BYTES, block += weightStep) {
      if (rows == 1) group1(acc, q, scale, block);
      else if (rows == 2) group2(acc, q, qStride, scale, scaleStride, block);
      else group3(acc, q, qStride, scale, scaleStride, block);
    }
    w += BLOCK_BYTES;
    q += 128;
    scale += 4;
  }
  for (let acc = sums; acc < end; acc += SUM_BYTES, out += outStep) {
    for (let row = 0; row < rows; row++) {
      finish(out + <usize>row * outStride, v128.load(acc + (<usize>row << 4)), bias, epilogue);
    }
    if (bias) bias += outStep;
  }
}

/**
 * Blocks of four outputs `first` to `last` of y[rows, N] from q[rows, K'] and its scales; `bias` 0 means none.
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
    const b = bias ? bias + (<usize>block << 4) : 0;
    let y = out + (<usize>block << 4);
    let x = q;
    let s = scales;
    for (let left = rows; left > 0; ) {
      const count = left == 4 ? 2 : min(left, 3); // 4 rows are two pairs
      tile(
        y, outStride, x, <usize>groups << 7, s, <usize>groups << 2, w, b, groups, epilogue,
        count, streams, <usize>run * blockBytes, <usize>run << 4, sums,
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
