// Causal attention over pages of keys and values. For each layer and head a page holds
//   the keys, transposed: [d][16 positions]. So one vector has the scores of several positions.
//   the values: [16 positions][d rounded up to 4]. So one vector has several d of an output.
//   8-bit numbers only: the scales in bfloat16, [16] of the keys and then [16] of the values.
// Every score has one accumulator, d ascending. Every output has one accumulator, positions ascending. `T` is the type of a
// stored number, f32 or i8. Two neighbouring rows of a sequence read the same pages, so they are computed together.
import { exp, sum16 } from "./math";
import { ATTENTION_ROWS_MAX, AttentionInstruction, KV_SCALE_BYTES, PAGE_POSITIONS } from "./numbers.generated";
import { headBytes, keysBytes, pageOf, valueBytes } from "./keys-values";
import { padded, rowBytes } from "./shapes";

/** Loads four keys or values of a page, as floats. */
// @ts-ignore: decorator
@inline
function loadFour<T>(p: usize): v128 {
  if (isFloat<T>()) return v128.load(p);
  const words = i16x8.extend_low_i8x16_s(v128.load32_zero(p));
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(words));
}

/** Loads four scales of a page, as floats. bfloat16 is the upper half of an f32. */
// @ts-ignore: decorator
@inline
function loadScales(p: usize): v128 {
  return i32x4.shl(v128.load16x4_u(p), 16);
}

/** What four sums are multiplied by: `scale`, and the scales of their keys, which are at `p`. */
// @ts-ignore: decorator
@inline
function scoreScale<T>(scale: v128, p: usize): v128 {
  return isFloat<T>() ? scale : f32x4.mul(scale, loadScales(p));
}

/** Scores of one page for one or two `rows`: Σ q[i]·k[i][position], i ascending, times `scale`. */
// @ts-ignore: decorator
@inline
function scorePage<T>(
  rows: i32,
  out: usize,
  outStride: usize,
  q: usize,
  qStride: usize,
  keys: usize,
  headSize: i32,
  scale: v128,
): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  // The scales are the last bytes of a head.
  const scales = keys + headBytes<T>(headSize) - 2 * KV_SCALE_BYTES * PAGE_POSITIONS;
  for (const end = q + (<usize>headSize << 2); q < end; q += 4, keys += PAGE_POSITIONS * sizeof<T>()) {
    const k0 = loadFour<T>(keys);
    const k1 = loadFour<T>(keys + 4 * sizeof<T>());
    const k2 = loadFour<T>(keys + 8 * sizeof<T>());
    const k3 = loadFour<T>(keys + 12 * sizeof<T>());
    const x = v128.load32_splat(q);
    a = f32x4.add(a, f32x4.mul(x, k0));
    b = f32x4.add(b, f32x4.mul(x, k1));
    c = f32x4.add(c, f32x4.mul(x, k2));
    d = f32x4.add(d, f32x4.mul(x, k3));
    if (rows == 2) {
      const y = v128.load32_splat(q + qStride);
      e = f32x4.add(e, f32x4.mul(y, k0));
      f = f32x4.add(f, f32x4.mul(y, k1));
      g = f32x4.add(g, f32x4.mul(y, k2));
      h = f32x4.add(h, f32x4.mul(y, k3));
    }
  }
  const s0 = scoreScale<T>(scale, scales);
  const s1 = scoreScale<T>(scale, scales + 4 * KV_SCALE_BYTES);
  const s2 = scoreScale<T>(scale, scales + 8 * KV_SCALE_BYTES);
  const s3 = scoreScale<T>(scale, scales + 12 * KV_SCALE_BYTES);
  v128.store(out, f32x4.mul(a, s0));
  v128.store(out, f32x4.mul(b, s1), 16);
  v128.store(out, f32x4.mul(c, s2), 32);
  v128.store(out, f32x4.mul(d, s3), 48);
  if (rows == 2) {
    out += outStride;
    v128.store(out, f32x4.mul(e, s0));
    v128.store(out, f32x4.mul(f, s1), 16);
    v128.store(out, f32x4.mul(g, s2), 32);
    v128.store(out, f32x4.mul(h, s3), 48);
  }
}

/** Turns `count` scores into e^(score − largest), and returns their sum. Up to the end of the page it writes zeros. */
function softmaxWeights(scores: usize, count: i32): f32 {
  const end = scores + (<usize>count << 2);
  const pageEnd = scores + (<usize>padded(count, PAGE_POSITIONS) << 2);
  for (let p = end; p < pageEnd; p += 4) store<f32>(p, -Infinity);
  let largest = v128.load(scores);
  for (let p = scores + 16; p < pageEnd; p += 16) largest = f32x4.max(largest, v128.load(p));
  const top = max(
    max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
  const m = f32x4.splat(top);
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let p = scores; p < pageEnd; p += 64) {
    const e0 = exp(f32x4.sub(v128.load(p), m));
    const e1 = exp(f32x4.sub(v128.load(p, 16), m));
    const e2 = exp(f32x4.sub(v128.load(p, 32), m));
    const e3 = exp(f32x4.sub(v128.load(p, 48), m));
    v128.store(p, e0);
    v128.store(p, e1, 16);
    v128.store(p, e2, 32);
    v128.store(p, e3, 48);
    a = f32x4.add(a, e0);
    b = f32x4.add(b, e1);
    c = f32x4.add(c, e2);
    d = f32x4.add(d, e3);
  }
  return sum16(a, b, c, d);
}

/** Multiplies the weights of `count` positions by the scales of their values. In page 0 those lie at `scales`. */
function scaleWeights(weights: usize, count: i32, table: usize, scales: usize, pageBytes: usize): void {
  for (let position = 0; position < count; position += PAGE_POSITIONS, weights += 4 * PAGE_POSITIONS) {
    const p = pageOf(scales, pageBytes, table, position);
    for (let i: usize = 0; i < <usize>PAGE_POSITIONS; i += 4) {
      const w = weights + (i << 2);
      v128.store(w, f32x4.mul(v128.load(w), loadScales(p + i * KV_SCALE_BYTES)));
    }
  }
}

/** Whether `row` and the row after it are neighbouring positions of one sequence. */
// @ts-ignore: decorator
@inline
function isPair(a: AttentionInstruction, row: usize, end: i32): bool {
  const table = a.pageTables + (row << 2);
  const position = a.positions + (row << 2);
  return <i32>row + 2 <= end && load<i32>(table) == load<i32>(table, 4) && load<i32>(position) + 1 == load<i32>(position, 4);
}

/**
 * Items `first` to `last` of rows × heads: out[row, head·d …] = softmax(q·Kᵀ·scale)·V over positions 0 … position. A pair of
 * rows is computed together if all heads of both rows are among the items.
 */
export function attention<T>(a: AttentionInstruction, part: i32, first: i32, last: i32): void {
  const heads = a.heads;
  const scores = a.scratch + <usize>part * a.scratchBytes;
  while (first < last) {
    const row = first / heads;
    const pair = first % heads == 0 && isPair(a, row, last / heads);
    const end = min((row + 1) * heads, last);
    for (let head = first % heads, past = head + end - first; head < past; head++) {
      if (pair) attend<T>(2, a, row, head, scores);
      else attend<T>(1, a, row, head, scores);
    }
    first = pair ? end + heads : end;
  }
}

/** One head of one row, or of a pair. `rows` is a constant: 1 or 2. */
// @ts-ignore: decorator
@inline
function attend<T>(rows: i32, a: AttentionInstruction, row: usize, head: i32, scores: usize): void {
  const headSize = a.headSize;
  const width = a.heads * headSize;
  const qStride = rowBytes(3 * width);
  const outStride = rowBytes(width);
  const scoresStride = <usize>(a.scratchBytes / ATTENTION_ROWS_MAX);
  const pageBytes = <usize>a.pageBytes;
  const scale = f32x4.splat(a.scale);
  const count = load<i32>(a.positions + (row << 2)) + 1;
  const table = <usize>load<i32>(a.pageTables + (row << 2));
  const inPage = a.pages + <usize>head * headBytes<T>(headSize);
  const q = a.qkv + row * qStride + (<usize>(head * headSize) << 2);
  for (let position = 0; position < count + rows - 1; position += PAGE_POSITIONS) {
    const keys = pageOf(inPage, pageBytes, table, position);
    scorePage<T>(rows, scores + (<usize>position << 2), scoresStride, q, qStride, keys, headSize, scale);
  }
  const scales = inPage + headBytes<T>(headSize) - KV_SCALE_BYTES * PAGE_POSITIONS;
  const sum = softmaxWeights(scores, count);
  if (!isFloat<T>()) scaleWeights(scores, count, table, scales, pageBytes);
  let second: f32 = 0;
  if (rows == 2) {
    second = softmaxWeights(scores + scoresStride, count + 1);
    if (!isFloat<T>()) scaleWeights(scores + scoresStride, count + 1, table, scales, pageBytes);
  }
  const out = a.out + row * outStride + (<usize>(head * headSize) << 2);
  const values = inPage + keysBytes<T>(headSize);
  weighValues<T>(rows, out, outStride, scores, scoresStride, table, values, pageBytes, headSize, count, sum, second);
}

/** o[i] = Σ_j w[j]·v[j][i] / sum, j ascending. The second of two `rows` has one position more than the first. */
// @ts-ignore: decorator
@inline
function weighValues<T>(
  rows: i32,
  out: usize,
  outStride: usize,
  weights: usize,
  weightsStride: usize,
  table: usize,
  values: usize,
  pageBytes: usize,
  headSize: i32,
  count: i32,
  sum: f32,
  second: f32,
): void {
  const stride = valueBytes<T>(headSize);
  const total = f32x4.splat(sum);
  const totalOfSecond = f32x4.splat(second);
  let column = 0;
  // Four vectors at a time keep four independent sums in flight.
  for (; column + 16 <= headSize; column += 16) {
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    let e = a;
    let f = a;
    let g = a;
    let h = a;
    for (let j: u32 = 0; j < <u32>(count + rows - 1); j++) {
      const at = pageOf(values, pageBytes, table, j) + <usize>(j % PAGE_POSITIONS) * stride + <usize>column * sizeof<T>();
      const v0 = loadFour<T>(at);
      const v1 = loadFour<T>(at + 4 * sizeof<T>());
      const v2 = loadFour<T>(at + 8 * sizeof<T>());
      const v3 = loadFour<T>(at + 12 * sizeof<T>());
      if (rows == 1 || j < <u32>count) {
        const w = v128.load32_splat(weights + (<usize>j << 2));
        a = f32x4.add(a, f32x4.mul(w, v0));
        b = f32x4.add(b, f32x4.mul(w, v1));
        c = f32x4.add(c, f32x4.mul(w, v2));
        d = f32x4.add(d, f32x4.mul(w, v3));
      }
      if (rows == 2) {
        const w = v128.load32_splat(weights + weightsStride + (<usize>j << 2));
        e = f32x4.add(e, f32x4.mul(w, v0));
        f = f32x4.add(f, f32x4.mul(w, v1));
        g = f32x4.add(g, f32x4.mul(w, v2));
        h = f32x4.add(h, f32x4.mul(w, v3));
      }
    }
    storeLanes(out, column, f32x4.div(a, total), headSize);
    storeLanes(out, column + 4, f32x4.div(b, total), headSize);
    storeLanes(out, column + 8, f32x4.div(c, total), headSize);
    storeLanes(out, column + 12, f32x4.div(d, total), headSize);
    if (rows == 2) {
      storeLanes(out + outStride, column, f32x4.div(e, totalOfSecond), headSize);
      storeLanes(out + outStride, column + 4, f32x4.div(f, totalOfSecond), headSize);
      storeLanes(out + outStride, column + 8, f32x4.div(g, totalOfSecond), headSize);
      storeLanes(out + outStride, column + 12, f32x4.div(h, totalOfSecond), headSize);
    }
  }
  for (; column < headSize; column += 4) {
    const from = values + <usize>column * sizeof<T>();
    weighFour<T>(out, column, weights, table, from, pageBytes, headSize, count, total);
    if (rows == 2) {
      weighFour<T>(out + outStride, column, weights + weightsStride, table, from, pageBytes, headSize, count + 1, totalOfSecond);
    }
  }
}

/** Four columns of one row. At the end of a head there may be fewer. */
function weighFour<T>(
  out: usize,
  column: i32,
  weights: usize,
  table: usize,
  values: usize,
  pageBytes: usize,
  headSize: i32,
  count: i32,
  total: v128,
): void {
  let a = f32x4.splat(0);
  for (let j: u32 = 0; j < <u32>count; j++) {
    const v = pageOf(values, pageBytes, table, j) + <usize>(j % PAGE_POSITIONS) * valueBytes<T>(headSize);
    a = f32x4.add(a, f32x4.mul(v128.load32_splat(weights + (<usize>j << 2)), loadFour<T>(v)));
  }
  storeLanes(out, column, f32x4.div(a, total), headSize);
}

/** Stores four columns. At the end of a head it stores fewer, because the outputs of the next head begin there. */
// @ts-ignore: decorator
@inline
function storeLanes(out: usize, column: i32, value: v128, headSize: i32): void {
  const to = out + (<usize>column << 2);
  const left = headSize - column;
  if (left >= 4) {
    v128.store(to, value);
    return;
  }
  store<f32>(to, f32x4.extract_lane(value, 0));
  if (left > 1) store<f32>(to, f32x4.extract_lane(value, 1), 4);
  if (left > 2) store<f32>(to, f32x4.extract_lane(value, 2), 8);
}
