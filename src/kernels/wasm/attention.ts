// Causal attention over pages of 16 positions. A page holds, for each layer and head, the keys transposed, [d][16], so
// that scores are vectorised over positions with d ascending, and the values [16][d4] (d rounded up to 4), so that
// outputs are vectorised over d with positions ascending: one accumulator an output everywhere.
import { exp, sum16 } from "./math";

// @ts-ignore: decorator
@inline
function headBytes(headSize: i32): usize {
  return <usize>(headSize + ((headSize + 3) & ~3)) << 6; // keys and values of 16 positions
}

/** Items `first` to `last` of rows × heads: writes keys and values into the row's page. qkv is [rows, 3·heads·headSize]. */
export function storeKv(
  qkv: usize,
  positions: usize,
  tables: usize,
  heads: i32,
  headSize: i32,
  pages: usize,
  pageBytes: usize,
  first: i32,
  last: i32,
): void {
  const width = heads * headSize;
  const stride = <usize>((3 * width + 15) & ~15) << 2;
  const padded = (headSize + 3) & ~3;
  for (let item = first; item < last; item++) {
    const row = <usize>(item / heads);
    const head = item % heads;
    const position = load<i32>(positions + (row << 2));
    const table = <usize>load<i32>(tables + (row << 2));
    const page = pages + <usize>load<i32>(table + (<usize>(position >> 4) << 2)) * pageBytes;
    const slot = <usize>(position & 15);
    const k = qkv + row * stride + (<usize>(width + head * headSize) << 2);
    const v = k + (<usize>width << 2);
    const keys = page + <usize>head * headBytes(headSize) + (slot << 2);
    const values = page + <usize>head * headBytes(headSize) + (<usize>headSize << 6) + slot * (<usize>padded << 2);
    for (let i: usize = 0; i < <usize>headSize; i++) {
      store<f32>(keys + (i << 6), load<f32>(k + (i << 2)));
      store<f32>(values + (i << 2), load<f32>(v + (i << 2)));
    }
    for (let i = <usize>headSize; i < <usize>padded; i++) store<f32>(values + (i << 2), 0);
  }
}

/** Scores of 16 positions: Σ q[i]·k[i][16], i ascending, times `scale`. */
// @ts-ignore: decorator
@inline
function scorePage(out: usize, q: usize, keys: usize, headSize: i32, scale: v128): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = q + (<usize>headSize << 2); q < end; q += 4, keys += 64) {
    const x = v128.load32_splat(q);
    a = f32x4.add(a, f32x4.mul(x, v128.load(keys)));
    b = f32x4.add(b, f32x4.mul(x, v128.load(keys, 16)));
    c = f32x4.add(c, f32x4.mul(x, v128.load(keys, 32)));
    d = f32x4.add(d, f32x4.mul(x, v128.load(keys, 48)));
  }
  v128.store(out, f32x4.mul(a, scale));
  v128.store(out, f32x4.mul(b, scale), 16);
  v128.store(out, f32x4.mul(c, scale), 32);
  v128.store(out, f32x4.mul(d, scale), 48);
}

/** Turns `count` scores into e^(score − largest), pads to 16 with zeros, and returns their sum. */
function softmaxWeights(scores: usize, count: i32): f32 {
  const end = scores + (<usize>count << 2);
  const padded = scores + (<usize>((count + 15) & ~15) << 2);
  for (let p = end; p < padded; p += 4) store<f32>(p, -Infinity);
  let largest = v128.load(scores);
  for (let p = scores + 16; p < padded; p += 16) largest = f32x4.max(largest, v128.load(p));
  const top = max(
    max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
  const m = f32x4.splat(top);
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let p = scores; p < padded; p += 64) {
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

/** Items `first` to `last` of rows × heads: out[row, head·d …] = softmax(q·Kᵀ·scale)·V over positions 0 … position. */
export function attention(
  out: usize,
  qkv: usize,
  positions: usize,
  tables: usize,
  heads: i32,
  headSize: i32,
  scale: f32,
  pages: usize,
  pageBytes: usize,
  scratch: usize,
  first: i32,
  last: i32,
): void {
  const width = heads * headSize;
  const qkvStride = <usize>((3 * width + 15) & ~15) << 2;
  const outStride = <usize>((width + 15) & ~15) << 2;
  const scales = f32x4.splat(scale);
  for (let item = first; item < last; item++) {
    const row = <usize>(item / heads);
    const head = item % heads;
    const count = load<i32>(positions + (row << 2)) + 1;
    const table = <usize>load<i32>(tables + (row << 2));
    const inPage = pages + <usize>head * headBytes(headSize);
    const q = qkv + row * qkvStride + (<usize>(head * headSize) << 2);
    const numPages = (count + 15) >> 4;
    for (let page = 0; page < numPages; page++) {
      const keys = inPage + <usize>load<i32>(table + (<usize>page << 2)) * pageBytes;
      scorePage(scratch + (<usize>page << 6), q, keys, headSize, scales);
    }
    const sum = softmaxWeights(scratch, count);
    const values = inPage + (<usize>headSize << 6);
    const o = out + row * outStride + (<usize>(head * headSize) << 2);
    weighValues(o, scratch, table, values, pageBytes, headSize, count, sum);
  }
}

/** o[i] = Σ_j w[j]·v[j][i] / sum, j ascending. */
function weighValues(
  out: usize,
  weights: usize,
  table: usize,
  values: usize,
  pageBytes: usize,
  headSize: i32,
  count: i32,
  sum: f32,
): void {
  const rowBytes = <usize>((headSize + 3) & ~3) << 2;
  const total = f32x4.splat(sum);
  let column: usize = 0;
  // Four vectors at a time keep four independent sums in flight.
  for (; column + 64 <= rowBytes; column += 64) {
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    for (let j = 0; j < count; j++) {
      const page = values + <usize>load<i32>(table + (<usize>(j >> 4) << 2)) * pageBytes;
      const v = page + <usize>(j & 15) * rowBytes + column;
      const w = v128.load32_splat(weights + (<usize>j << 2));
      a = f32x4.add(a, f32x4.mul(w, v128.load(v)));
      b = f32x4.add(b, f32x4.mul(w, v128.load(v, 16)));
      c = f32x4.add(c, f32x4.mul(w, v128.load(v, 32)));
      d = f32x4.add(d, f32x4.mul(w, v128.load(v, 48)));
    }
    storeLanes(out, column, f32x4.div(a, total), headSize);
    storeLanes(out, column + 16, f32x4.div(b, total), headSize);
    storeLanes(out, column + 32, f32x4.div(c, total), headSize);
    storeLanes(out, column + 48, f32x4.div(d, total), headSize);
  }
  for (; column < rowBytes; column += 16) {
    let a = f32x4.splat(0);
    for (let j = 0; j < count; j++) {
      const page = values + <usize>load<i32>(table + (<usize>(j >> 4) << 2)) * pageBytes;
      const v = page + <usize>(j & 15) * rowBytes + column;
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(weights + (<usize>j << 2)), v128.load(v)));
    }
    storeLanes(out, column, f32x4.div(a, total), headSize);
  }
}

/** Stores four lanes, or fewer at the end of a head: the next head's outputs begin there. */
// @ts-ignore: decorator
@inline
function storeLanes(out: usize, column: usize, value: v128, headSize: i32): void {
  const left = <i32>(((<usize>headSize << 2) - column) >> 2);
  if (left >= 4) {
    v128.store(out + column, value);
    return;
  }
  store<f32>(out + column, f32x4.extract_lane(value, 0));
  if (left > 1) store<f32>(out + column, f32x4.extract_lane(value, 1), 4);
  if (left > 2) store<f32>(out + column, f32x4.extract_lane(value, 2), 8);
}
