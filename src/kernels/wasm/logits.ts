// Operations on one row of logits, [V] padded with −∞ to whole vectors: largest values, top-k, top-p, sums of exponentials.
// `../logits-row.ts` says what each operation means, and `../reference/plain-logits-row.ts` defines its bits. The weight of a
// token is e^(value − largest), a double. Every function takes the row's address and its padded width, `stride`.
import { isNativeSum, sumNative } from "./native";
import { ROW_SCRATCH_BYTES, ROW_SUMS_ABOVE, ROW_SUMS_TOTAL, ROW_SUMS_WEIGHTS, RowScratch } from "./numbers.generated";
import { rowBytes } from "./shapes";

const NEVER: f32 = -Infinity;

/** Stands in `known` when the scratch does not have the ids of the row's remaining tokens. */
const UNKNOWN: i32 = -1;

/**
 * To be called for each new row of `width` values. Fills its padding, which must never win, and forgets the previous row at this
 * address.
 */
export function openRow(row: usize, width: i32, scratch: usize): void {
  const end = row + rowBytes(width);
  for (let at = row + (<usize>width << 2); at < end; at += 4) store<f32>(at, NEVER);
  const s = changetype<RowScratch>(scratch);
  if (s.owner == row) s.owner = 0;
}

/**
 * Gives the scratch to a row: room for values, ids and masses of its tokens. It forgets what it held of another row. If top-k
 * ran before, the scratch has the ids of the remaining tokens, and the next operation need not search the whole vocabulary.
 */
// @ts-ignore: decorator
@inline
function scratchOf(row: usize, stride: i32, scratch: usize): RowScratch {
  const s = changetype<RowScratch>(scratch);
  if (s.owner != row) s.known = UNKNOWN;
  s.owner = row;
  s.values = scratch + ROW_SCRATCH_BYTES;
  s.ids = s.values + (<usize>stride << 2);
  s.masses = s.ids + (<usize>stride << 2);
  return s;
}

/** The largest value. NaN if any value is NaN. */
export function largest(row: usize, stride: i32): f32 {
  let m = f32x4.splat(NEVER);
  for (const end = row + (<usize>stride << 2); row < end; row += 16) m = f32x4.max(m, v128.load(row));
  const ab = max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1));
  return max(ab, max(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)));
}

/** The largest value that is not NaN. −∞ if there is none. */
function largestNumber(row: usize, stride: i32): f32 {
  let m = f32x4.splat(NEVER);
  for (const end = row + (<usize>stride << 2); row < end; row += 16) m = f32x4.pmax(m, v128.load(row));
  let found = NEVER;
  const a = f32x4.extract_lane(m, 0);
  const b = f32x4.extract_lane(m, 1);
  const c = f32x4.extract_lane(m, 2);
  const d = f32x4.extract_lane(m, 3);
  if (a > found) found = a;
  if (b > found) found = b;
  if (c > found) found = c;
  if (d > found) found = d;
  return found;
}

/** The first index with the largest value. If all values are NaN, it is an index of the padding. */
export function argmax(row: usize, stride: i32): i32 {
  const wanted = f32x4.splat(largestNumber(row, stride));
  for (let i = 0; i < stride; i += 4) {
    const equal = f32x4.eq(v128.load(row + (<usize>i << 2)), wanted);
    if (v128.any_true(equal)) return i + ctz<i32>(i32x4.bitmask(equal));
  }
  return 0;
}

/** e^x for x ≤ 0 in double precision, two lanes. 0 below −708. The same operations as `../reference/double-math.ts`. */
// @ts-ignore: decorator
@inline
function expDouble(x: v128): v128 {
  const magic = f64x2.splat(6755399441055744.0);
  const shifted = f64x2.add(f64x2.mul(x, f64x2.splat(1.4426950408889634)), magic);
  const n = f64x2.sub(shifted, magic);
  const r = f64x2.sub(
    f64x2.sub(x, f64x2.mul(n, f64x2.splat(0.6931471803691238))),
    f64x2.mul(n, f64x2.splat(1.9082149292705877e-10)),
  );
  let sum = f64x2.splat(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9 / 10 / 11 / 12 / 13);
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9 / 10 / 11 / 12));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9 / 10 / 11));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9 / 10));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8 / 9));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4 / 5 / 6 / 7 / 8));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4 / 5 / 6 / 7));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4 / 5 / 6));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4 / 5));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3 / 4));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 2 / 3));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(0.5));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0));
  // The low bits of `shifted` are n. Moved to the exponent, with its bias added, they are 2^n.
  const power = i64x2.add(i64x2.shl(shifted, 52), i64x2.splat(1023 << 52));
  return v128.and(f64x2.mul(sum, power), f64x2.gt(x, f64x2.splat(-708.0)));
}

/** e^(value − largest) of two values. */
// @ts-ignore: decorator
@inline
function weights(at: usize, largest: v128): v128 {
  return expDouble(f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(at)), largest));
}

/** Adds 8 partial sums (index mod 8, two lanes each) in one fixed tree: 8 → 4 → 2 → 1. */
// @ts-ignore: decorator
@inline
function sum8(a: v128, b: v128, c: v128, d: v128): f64 {
  const two = f64x2.add(f64x2.add(a, c), f64x2.add(b, d));
  return f64x2.extract_lane(two, 0) + f64x2.extract_lane(two, 1);
}

/** Lets native code compute a sum over `count` values, a multiple of 8. */
// @ts-ignore: decorator
@inline
function sumByNative(s: RowScratch, sum: i32, input: usize, bound: f64, count: i32): f64 {
  s.input = input;
  s.bound = bound;
  s.count = count;
  sumNative(sum, changetype<usize>(s));
  return s.result;
}

/** Σ e^(value − largest) */
export function sumExp(row: usize, stride: i32, largest: f64, scratch: usize): f64 {
  const s = changetype<RowScratch>(scratch);
  if (isNativeSum(ROW_SUMS_TOTAL)) return sumByNative(s, ROW_SUMS_TOTAL, row, largest, stride);
  const m = f64x2.splat(largest);
  let a = f64x2.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = row + (<usize>stride << 2); row < end; row += 32) {
    a = f64x2.add(a, weights(row, m));
    b = f64x2.add(b, weights(row + 8, m));
    c = f64x2.add(c, weights(row + 16, m));
    d = f64x2.add(d, weights(row + 24, m));
  }
  return sum8(a, b, c, d);
}

/** value − total, computed in double precision and rounded to f32. */
export function subtract(row: usize, stride: i32, total: f64): void {
  const t = f64x2.splat(total);
  for (const end = row + (<usize>stride << 2); row < end; row += 16) {
    const low = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(row)), t);
    const high = f64x2.sub(f64x2.promote_low_f32x4(v128.load64_zero(row, 8)), t);
    const both = i64x2.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
    v128.store(row, both);
  }
}

export function divide(row: usize, stride: i32, divisor: f32): void {
  const d = f32x4.splat(divisor);
  for (const end = row + (<usize>stride << 2); row < end; row += 16) v128.store(row, f32x4.div(v128.load(row), d));
}

/** The k-th largest value, 1 ≤ k ≤ V. NaN counts as −∞. `heap` holds the k largest values so far, the smallest on top. */
function kthLargest(row: usize, stride: i32, k: i32, heap: usize): f32 {
  const never = f32x4.splat(NEVER);
  for (let at: usize = 0; at < <usize>k << 2; at += 16) v128.store(heap + at, f32x4.pmax(never, v128.load(row + at)));
  for (let i = (k >> 1) - 1; i >= 0; i--) siftDown(heap, i, k);
  let top = f32x4.splat(load<f32>(heap));
  for (let i = k & ~3; i < stride; i += 4) {
    const at = row + (<usize>i << 2);
    let larger = i32x4.bitmask(f32x4.gt(v128.load(at), top));
    if (larger == 0) continue;
    for (; larger != 0; larger &= larger - 1) {
      const lane = ctz<i32>(larger);
      const value = load<f32>(at + (<usize>lane << 2));
      if (i + lane < k || !(value > load<f32>(heap))) continue;
      store<f32>(heap, value);
      siftDown(heap, 0, k);
    }
    top = f32x4.splat(load<f32>(heap));
  }
  return load<f32>(heap);
}

function siftDown(heap: usize, start: i32, length: i32): void {
  const value = load<f32>(heap + (<usize>start << 2));
  let at = start;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= length) break;
    let least = load<f32>(heap + (<usize>child << 2));
    if (child + 1 < length) {
      const other = load<f32>(heap + (<usize>child << 2), 4);
      if (other < least) {
        least = other;
        child += 1;
      }
    }
    if (least >= value) break;
    store<f32>(heap + (<usize>at << 2), least);
    at = child;
  }
  store<f32>(heap + (<usize>at << 2), value);
}

/** Stores the ids of the values ≥ `threshold`, ascending, and returns how many there are. */
function collect(row: usize, stride: i32, threshold: f32, ids: usize): i32 {
  const t = f32x4.splat(threshold);
  let count = 0;
  for (let i = 0; i < stride; i += 4) {
    let found = i32x4.bitmask(f32x4.ge(v128.load(row + (<usize>i << 2)), t));
    for (; found != 0; found &= found - 1) {
      store<i32>(ids + (<usize>count << 2), i + ctz<i32>(found));
      count += 1;
    }
  }
  return count;
}

/**
 * Stores the ids of the k largest values and of all ties at the k-th place, and returns how many there are. Returns −1 if fewer
 * than k values are above −∞.
 */
export function topK(row: usize, stride: i32, k: i32, scratch: usize): i32 {
  const s = scratchOf(row, stride, scratch);
  s.known = UNKNOWN;
  const threshold = kthLargest(row, stride, k, s.values);
  return threshold > NEVER ? collect(row, stride, threshold, s.ids) : -1;
}

/** Removes the tokens below `bound`. The scratch then has the ids of the others. */
function keepAtLeast(s: RowScratch, row: usize, stride: i32, bound: f32): void {
  const threshold = f32x4.splat(bound);
  const never = f32x4.splat(NEVER);
  const ids = s.ids;
  let count = 0;
  for (let i = 0; i < stride; i += 4) {
    const at = row + (<usize>i << 2);
    const v = v128.load(at);
    v128.store(at, v128.bitselect(never, v, f32x4.lt(v, threshold)));
    for (let found = i32x4.bitmask(f32x4.ge(v, threshold)); found != 0; found &= found - 1) {
      store<i32>(ids + (<usize>count << 2), i + ctz<i32>(found));
      count += 1;
    }
  }
  s.known = count;
}

/** Removes the tokens below the k-th largest value. */
export function keepTopK(row: usize, stride: i32, k: i32, scratch: usize): void {
  const s = scratchOf(row, stride, scratch);
  keepAtLeast(s, row, stride, kthLargest(row, stride, k, s.values));
}

/** Removes the tokens below `threshold`, a double. */
export function keepFrom(row: usize, stride: i32, threshold: f64, scratch: usize): void {
  // The values are f32, so the bound may be the smallest f32 that is not below the threshold.
  const nearest = <f32>threshold;
  const next = reinterpret<f32>(ordered(ordered(reinterpret<i32>(nearest)) + 1));
  keepAtLeast(scratchOf(row, stride, scratch), row, stride, <f64>nearest < threshold ? next : nearest);
}

/** Keeps those of `count` ids whose tokens were not removed, and returns how many there are. */
function collectAgain(row: usize, ids: usize, count: i32): i32 {
  let left = 0;
  for (let i = 0; i < count; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (!(load<f32>(row + (<usize>id << 2)) >= -f32.MAX_VALUE)) continue;
    store<i32>(ids + (<usize>left << 2), id);
    left += 1;
  }
  return left;
}

/**
 * Finds the tokens that were not removed: their values, ids and weights. The list is padded to a multiple of 8 with weights of 0.
 */
function findTokens(s: RowScratch, row: usize, stride: i32): void {
  const ids = s.ids;
  const values = s.values;
  const masses = s.masses;
  const count = s.known == UNKNOWN ? collect(row, stride, -f32.MAX_VALUE, ids) : collectAgain(row, ids, s.known);
  s.known = count;
  const padded = paddedTo8(count);
  for (let i = 0; i < padded; i++) {
    const value = i < count ? load<f32>(row + (<usize>load<i32>(ids + (<usize>i << 2)) << 2)) : NEVER;
    store<f32>(values + (<usize>i << 2), value);
  }
  const top = <f64>largestNumber(values, padded);
  if (isNativeSum(ROW_SUMS_WEIGHTS)) {
    sumByNative(s, ROW_SUMS_WEIGHTS, values, top, padded);
    return;
  }
  const m = f64x2.splat(top);
  for (let i = 0; i < padded; i += 2) v128.store(masses + (<usize>i << 3), weights(values + (<usize>i << 2), m));
}

// @ts-ignore: decorator
@inline
function paddedTo8(count: i32): i32 {
  return (count + 7) & ~7;
}

/** The sum of the weights of the tokens above `threshold`. */
function weightAbove(s: RowScratch, threshold: f32): f64 {
  const count = paddedTo8(s.known);
  if (isNativeSum(ROW_SUMS_ABOVE)) return sumByNative(s, ROW_SUMS_ABOVE, s.values, <f64>threshold, count);
  const t = f64x2.splat(<f64>threshold);
  let a = f64x2.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let masses = s.masses;
  let values = s.values;
  for (const end = values + (<usize>count << 2); values < end; values += 32, masses += 64) {
    a = f64x2.add(a, v128.and(v128.load(masses), f64x2.gt(f64x2.promote_low_f32x4(v128.load64_zero(values)), t)));
    b = f64x2.add(b, v128.and(v128.load(masses, 16), f64x2.gt(f64x2.promote_low_f32x4(v128.load64_zero(values, 8)), t)));
    c = f64x2.add(c, v128.and(v128.load(masses, 32), f64x2.gt(f64x2.promote_low_f32x4(v128.load64_zero(values, 16)), t)));
    d = f64x2.add(d, v128.and(v128.load(masses, 48), f64x2.gt(f64x2.promote_low_f32x4(v128.load64_zero(values, 24)), t)));
  }
  return sum8(a, b, c, d);
}

/** Maps the bits of a float to an integer, so that integers have the order of the floats. It is its own inverse. */
// @ts-ignore: decorator
@inline
function ordered(bits: i32): i32 {
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

/** Top-p. Finds the threshold by bisection over the bits of a float. That takes at most 32 sums, and no sort. */
export function keepTopP(row: usize, stride: i32, p: f64, scratch: usize): void {
  const s = scratchOf(row, stride, scratch);
  findTokens(s, row, stride);
  if (s.known == 0) return;
  const goal = p * weightAbove(s, NEVER);
  let low = ordered(reinterpret<i32>(-f32.MAX_VALUE));
  let high = ordered(reinterpret<i32>(largestNumber(s.values, paddedTo8(s.known))));
  while (low < high) {
    const middle = <i32>((<i64>low + <i64>high) >> 1);
    if (weightAbove(s, reinterpret<f32>(ordered(middle))) < goal) high = middle;
    else low = middle + 1;
  }
  const threshold = reinterpret<f32>(ordered(high));
  let above = weightAbove(s, threshold);
  let isFirst = true;
  for (let i = 0; i < s.known; i++) {
    const value = load<f32>(s.values + (<usize>i << 2));
    if (value > threshold) continue;
    const isIn = value == threshold && (isFirst || above < goal);
    if (value == threshold) {
      above += load<f64>(s.masses + (<usize>i << 3));
      isFirst = false;
    }
    if (!isIn) store<f32>(row + (<usize>load<i32>(s.ids + (<usize>i << 2)) << 2), NEVER);
  }
}

/** Writes the ids of the remaining tokens and the running sums of their weights to the scratch. Returns how many there are. */
export function distribution(row: usize, stride: i32, scratch: usize): i32 {
  const s = scratchOf(row, stride, scratch);
  findTokens(s, row, stride);
  let sum: f64 = 0;
  for (let at = s.masses; at < s.masses + (<usize>s.known << 3); at += 8) {
    sum += load<f64>(at);
    store<f64>(at, sum);
  }
  return s.known;
}
