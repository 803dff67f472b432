// Causal attention over pages of keys and values. A page holds, for each layer and head, the keys transposed, [d][16
// positions], so that scores are computed for several positions at once, each with d ascending; and the values, [16
// positions][d rounded up to 4], so that outputs are computed for several d at once, each with positions ascending. Every
// score and every output has one accumulator.
import { exp, sum16 } from "./math";
import { AttentionInstruction, PAGE_POSITIONS, StoreKvInstruction, VALUE_UNIT } from "./numbers.generated";
import { padded, rowBytes } from "./shapes";

const KEY_BYTES: usize = 4 * PAGE_POSITIONS; // one element of the keys of all positions of a page

/** Bytes of the values of one position. */
// @ts-ignore: decorator
@inline
function valueBytes(headSize: i32): usize {
  return <usize>padded(headSize, VALUE_UNIT) << 2;
}

/** Bytes of the keys of a page; the values follow. */
// @ts-ignore: decorator
@inline
function keysBytes(headSize: i32): usize {
  return <usize>headSize * KEY_BYTES;
}

/** Bytes of the keys and values of one head of one layer in a page. */
// @ts-ignore: decorator
@inline
function headBytes(headSize: i32): usize {
  return keysBytes(headSize) + PAGE_POSITIONS * valueBytes(headSize);
}

/** Where the page that holds a position begins. `table`: the page numbers of the sequence. */
// @ts-ignore: decorator
@inline
function pageOf(pages: usize, pageBytes: usize, table: usize, position: u32): usize {
  return pages + <usize>load<i32>(table + (<usize>(position / PAGE_POSITIONS) << 2)) * pageBytes;
}

/** Items `first` to `last` of rows × heads: writes keys and values into the row's page. qkv: [rows, 3·heads·headSize]. */
export function storeKv(a: StoreKvInstruction, first: i32, last: i32): void {
  const heads = a.heads;
  const headSize = a.headSize;
  const width = heads * headSize;
  const stride = rowBytes(3 * width);
  const size = <usize>headSize << 2;
  for (let item = first; item < last; item++) {
    const row = <usize>(item / heads);
    const head = item % heads;
    const position = load<u32>(a.positions + (row << 2));
    const table = <usize>load<i32>(a.pageTables + (row << 2));
    const inPage = pageOf(a.pages, a.pageBytes, table, position) + <usize>head * headBytes(headSize);
    const slot = <usize>(position % PAGE_POSITIONS);
    const k = a.qkv + row * stride + (<usize>(width + head * headSize) << 2);
    const v = k + (<usize>width << 2);
    const values = inPage + keysBytes(headSize) + slot * valueBytes(headSize);
    let key = inPage + (slot << 2);
    for (let i: usize = 0; i < size; i += 4, key += KEY_BYTES) {
      store<f32>(key, load<f32>(k + i));
      store<f32>(values + i, load<f32>(v + i));
    }
    for (let i = size; i < valueBytes(headSize); i += 4) store<f32>(values + i, 0);
  }
}

/** Scores of one page: Σ q[i]·k[i][position], i ascending, times `scale`. */
// @ts-ignore: decorator
@inline
function scorePage(out: usize, q: usize, keys: usize, headSize: i32, scale: v128): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = q + (<usize>headSize << 2); q < end; q += 4, keys += KEY_BYTES) {
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

/** Turns `count` scores into e^(score − largest), with zeros up to the end of the page, and returns their sum. */
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

/** Items `first` to `last` of rows × heads: out[row, head·d …] = softmax(q·Kᵀ·scale)·V over positions 0 … position. */
export function attention(a: AttentionInstruction, part: i32, first: i32, last: i32): void {
  const heads = a.heads;
  const headSize = a.headSize;
  const width = heads * headSize;
  const qkvStride = rowBytes(3 * width);
  const outStride = rowBytes(width);
  const pageBytes = <usize>a.pageBytes;
  const scale = f32x4.splat(a.scale);
  const scores = a.scratch + <usize>part * a.scratchBytes;
  for (let item = first; item < last; item++) {
    const row = <usize>(item / heads);
    const head = item % heads;
    const count = load<i32>(a.positions + (row << 2)) + 1;
    const table = <usize>load<i32>(a.pageTables + (row << 2));
    const inPage = a.pages + <usize>head * headBytes(headSize);
    const q = a.qkv + row * qkvStride + (<usize>(head * headSize) << 2);
    for (let position = 0; position < count; position += PAGE_POSITIONS) {
      const keys = pageOf(inPage, pageBytes, table, position);
      scorePage(scores + (<usize>position << 2), q, keys, headSize, scale);
    }
    const sum = softmaxWeights(scores, count);
    const out = a.out + row * outStride + (<usize>(head * headSize) << 2);
    weighValues(out, scores, table, inPage + keysBytes(headSize), pageBytes, headSize, count, sum);
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
  const stride = valueBytes(headSize);
  const total = f32x4.splat(sum);
  let column: usize = 0;
  // Four vectors at a time keep four independent sums in flight.
  for (; column + 64 <= stride; column += 64) {
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    for (let j: u32 = 0; j < <u32>count; j++) {
      const v = pageOf(values, pageBytes, table, j) + <usize>(j % PAGE_POSITIONS) * stride + column;
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
  for (; column < stride; column += 16) {
    let a = f32x4.splat(0);
    for (let j: u32 = 0; j < <u32>count; j++) {
      const v = pageOf(values, pageBytes, table, j) + <usize>(j % PAGE_POSITIONS) * stride + column;
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
