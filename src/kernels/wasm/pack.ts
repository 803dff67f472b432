// From a checkpoint's values to the layouts that the other kernels read, a piece of a tensor at a time. Matrices stored
// [in, out] come in pieces of rows along k, those stored [out, in] in pieces of outputs. 8-bit weights are quantised in
// f64, as JavaScript's numbers are; the layouts are described in `../program.ts`.
import { narrow, widen } from "./half";

const BLOCK_BYTES: usize = 1088; // 16 outputs × 64 weights, 16 scales
const SCALES: usize = 1024; // where a block's scales begin
const LARGEST: f64 = 127;
const HALF_MAX: f32 = 65504;

/** Math.round: to the nearest, upwards on a tie. NaN becomes 0 when it is made an integer. */
// @ts-ignore: decorator
@inline
function roundUp(x: v128): v128 {
  const rounded = f64x2.nearest(x);
  const isTie = f64x2.eq(f64x2.sub(x, rounded), f64x2.splat(0.5));
  return f64x2.add(rounded, v128.and(isTie, f64x2.splat(1)));
}

/** Lanes 2 and 3 in the place of 0 and 1. */
// @ts-ignore: decorator
@inline
function upper(x: v128): v128 {
  return i64x2.shuffle(x, x, 1, 1);
}

/** Four weights as integers; the inverses of their scales in two pairs. */
// @ts-ignore: decorator
@inline
function quantize4(x: v128, low: v128, high: v128): v128 {
  const a = roundUp(f64x2.mul(f64x2.promote_low_f32x4(x), low));
  const b = roundUp(f64x2.mul(f64x2.promote_low_f32x4(upper(x)), high));
  return i64x2.shuffle(i32x4.trunc_sat_f64x2_s_zero(a), i32x4.trunc_sat_f64x2_s_zero(b), 0, 2);
}

/** 127 / largest in two lanes, 0 where that is 0. */
// @ts-ignore: decorator
@inline
function inverseOf(largest: v128): v128 {
  const wide = f64x2.promote_low_f32x4(largest);
  return v128.and(f64x2.div(f64x2.splat(LARGEST), wide), f64x2.gt(wide, f64x2.splat(0)));
}

/** largest / 127 in four lanes. */
// @ts-ignore: decorator
@inline
function scalesOf(largest: v128): v128 {
  const low = f64x2.div(f64x2.promote_low_f32x4(largest), f64x2.splat(LARGEST));
  const high = f64x2.div(f64x2.promote_low_f32x4(upper(largest)), f64x2.splat(LARGEST));
  return i64x2.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** Where the weights of an output (`lane`) begin: four of them, and 64 bytes on the next four. */
// @ts-ignore: decorator
@inline
function laneOf(block: usize, lane: i32): usize {
  return block + (<usize>lane << 2);
}

/** The group of one output, value by value, `stride` bytes apart; for the edges of a matrix. `to`: see `laneOf`. */
function quantizeOne(to: usize, x: usize, stride: usize, count: i32): void {
  let largest: f32 = 0;
  for (let i = 0; i < count; i++) {
    const magnitude = abs(load<f32>(x + <usize>i * stride));
    if (magnitude > largest) largest = magnitude; // NaN is passed over.
  }
  const splat = f32x4.splat(largest);
  const inverse = inverseOf(splat);
  for (let i = 0; i < count; i++) {
    const value = quantize4(f32x4.splat(load<f32>(x + <usize>i * stride)), inverse, inverse);
    store<i8>(to + (<usize>(i >> 2) << 6) + <usize>(i & 3), <i8>i32x4.extract_lane(value, 0));
  }
  store<f32>(to, f32x4.extract_lane(scalesOf(splat), 0), SCALES);
}

/** 64 values that lie side by side. */
function quantizeRow(to: usize, x: usize): void {
  let m = f32x4.splat(0);
  for (let i: usize = 0; i < 256; i += 16) m = f32x4.pmax(m, f32x4.abs(v128.load(x + i)));
  m = f32x4.pmax(m, i32x4.shuffle(m, m, 2, 3, 0, 1));
  m = f32x4.pmax(m, i32x4.shuffle(m, m, 1, 0, 3, 2));
  const inverse = inverseOf(m);
  let out = to;
  for (let at = x; at < x + 256; at += 64, out += 256) {
    const a = quantize4(v128.load(at), inverse, inverse);
    const b = quantize4(v128.load(at, 16), inverse, inverse);
    const c = quantize4(v128.load(at, 32), inverse, inverse);
    const d = quantize4(v128.load(at, 48), inverse, inverse);
    const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
    v128.store32_lane(out, bytes, 0);
    v128.store32_lane(out, bytes, 1, 64);
    v128.store32_lane(out, bytes, 2, 128);
    v128.store32_lane(out, bytes, 3, 192);
  }
  store<f32>(to, f32x4.extract_lane(scalesOf(m), 0), SCALES);
}

/** A group of four outputs that lie side by side, `count` rows of `stride` bytes. `to`: of the first, see `laneOf`. */
function quantizeColumns(to: usize, x: usize, stride: usize, count: i32): void {
  let m = f32x4.splat(0);
  for (let k = 0; k < count; k++) m = f32x4.pmax(m, f32x4.abs(v128.load(x + <usize>k * stride)));
  const low = inverseOf(m);
  const high = inverseOf(upper(m));
  let k = 0;
  for (; k + 4 <= count; k += 4) {
    const at = x + <usize>k * stride;
    const a = quantize4(v128.load(at), low, high);
    const b = quantize4(v128.load(at + stride), low, high);
    const c = quantize4(v128.load(at + stride * 2), low, high);
    const d = quantize4(v128.load(at + stride * 3), low, high);
    const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
    const turned = i8x16.shuffle(bytes, bytes, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    v128.store(to + (<usize>k << 4), turned);
  }
  for (; k < count; k++) {
    const value = quantize4(v128.load(x + <usize>k * stride), low, high);
    const out = to + (<usize>(k >> 2) << 6) + <usize>(k & 3);
    store<i8>(out, <i8>i32x4.extract_lane(value, 0));
    store<i8>(out, <i8>i32x4.extract_lane(value, 1), 4);
    store<i8>(out, <i8>i32x4.extract_lane(value, 2), 8);
    store<i8>(out, <i8>i32x4.extract_lane(value, 3), 12);
  }
  v128.store(to, scalesOf(m), SCALES);
}

/**
 * Items are panels of 16 outputs, a cache line of every row: x[count, outWidth], rows `begin` and on of a matrix
 * stored [in, out], into blocks. `begin` is a multiple of 64.
 */
export function packInOutInt8(
  weight: usize, x: usize, inWidth: i32, outWidth: i32, begin: i32, count: i32, first: i32, last: i32,
): void {
  const groups = <usize>((inWidth + 63) >> 6);
  const stride = <usize>outWidth << 2;
  for (let done = 0; done < count; done += 64) {
    const group = <usize>((begin + done) >> 6);
    const rows = min(64, count - done);
    for (let panel = first; panel < last; panel++) {
      const block = weight + (<usize>panel * groups + group) * BLOCK_BYTES;
      const from = x + <usize>done * stride + (<usize>panel << 6);
      const outputs = min(16, outWidth - (panel << 4));
      let lane = 0;
      for (; lane + 4 <= outputs; lane += 4) {
        quantizeColumns(laneOf(block, lane), from + (<usize>lane << 2), stride, rows);
      }
      for (; lane < outputs; lane++) quantizeOne(laneOf(block, lane), from + (<usize>lane << 2), stride, rows);
    }
  }
}

/** Items are outputs: x[count, inWidth], outputs `begin` and on of a matrix stored [out, in], into blocks. */
export function packOutInInt8(weight: usize, x: usize, inWidth: i32, begin: i32, first: i32, last: i32): void {
  const groups = <usize>((inWidth + 63) >> 6);
  for (let row = first; row < last; row++) {
    const n = begin + row;
    let to = laneOf(weight + <usize>(n >> 4) * groups * BLOCK_BYTES, n & 15);
    let from = x + <usize>row * (<usize>inWidth << 2);
    for (let k = 0; k < inWidth; k += 64, to += BLOCK_BYTES, from += 256) {
      if (k + 64 <= inWidth) quantizeRow(to, from);
      else quantizeOne(to, from, 4, inWidth - k);
    }
  }
}

/** Items are panels of 16 outputs: x[count, outWidth], rows `begin` and on of a matrix stored [in, out]. */
export function packInOut(
  weight: usize, x: usize, inWidth: i32, outWidth: i32, begin: i32, count: i32, first: i32, last: i32,
): void {
  for (let panel = first; panel < last; panel++) {
    const bytes = <usize>min(16, outWidth - (panel << 4)) << 2;
    const to = weight + ((<usize>panel * inWidth + begin) << 6);
    const from = x + (<usize>panel << 6);
    for (let k = 0; k < count; k++) {
      memory.copy(to + (<usize>k << 6), from + <usize>k * (<usize>outWidth << 2), bytes);
    }
  }
}

/** Items are panels of 16 outputs: x[count, inWidth], outputs `begin` and on of a matrix stored [out, in]. */
export function packOutIn(
  weight: usize, x: usize, inWidth: i32, begin: i32, count: i32, first: i32, last: i32,
): void {
  const stride = <usize>inWidth << 2;
  for (let panel = first; panel < last; panel++) {
    const rows = min(16, count - (panel << 4));
    const from = x + (<usize>panel << 4) * stride;
    const to = weight + <usize>(begin + (panel << 4)) * stride;
    let row = 0;
    for (; row + 4 <= rows; row += 4) turn4(to + (<usize>row << 2), from + <usize>row * stride, inWidth);
    for (; row < rows; row++) {
      const at = from + <usize>row * stride;
      for (let k = 0; k < inWidth; k++) {
        store<f32>(to + (<usize>k << 6) + (<usize>row << 2), load<f32>(at + (<usize>k << 2)));
      }
    }
  }
}

/** Four rows of `width` become four columns of rows that are 64 bytes long. */
function turn4(to: usize, x: usize, width: i32): void {
  const stride = <usize>width << 2;
  let k = 0;
  for (; k + 4 <= width; k += 4) {
    const at = x + (<usize>k << 2);
    const out = to + (<usize>k << 6);
    const a = v128.load(at);
    const b = v128.load(at + stride);
    const c = v128.load(at + stride * 2);
    const d = v128.load(at + stride * 3);
    const lowAb = i32x4.shuffle(a, b, 0, 4, 1, 5);
    const highAb = i32x4.shuffle(a, b, 2, 6, 3, 7);
    const lowCd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const highCd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v128.store(out, i64x2.shuffle(lowAb, lowCd, 0, 2));
    v128.store(out, i64x2.shuffle(lowAb, lowCd, 1, 3), 64);
    v128.store(out, i64x2.shuffle(highAb, highCd, 0, 2), 128);
    v128.store(out, i64x2.shuffle(highAb, highCd, 1, 3), 192);
  }
  for (; k < width; k++) {
    for (let row: usize = 0; row < 4; row++) {
      store<f32>(to + (<usize>k << 6) + (row << 2), load<f32>(x + row * stride + (<usize>k << 2)));
    }
  }
}

/** Items are 16 numbers each, of `count`: f32 to half precision. One that is too large goes to `tooLarge` as it is. */
export function narrowHalves(out: usize, x: usize, count: i32, tooLarge: usize, first: i32, last: i32): void {
  const limit = f32x4.splat(HALF_MAX);
  const end = min(last << 4, count);
  let i = first << 4;
  for (; i + 8 <= end; i += 8) {
    const from = x + (<usize>i << 2);
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const fits = v128.and(f32x4.le(f32x4.abs(a), limit), f32x4.le(f32x4.abs(b), limit));
    if (!i32x4.all_true(fits)) reportTooLarge(from, tooLarge);
    v128.store(out + (<usize>i << 1), i16x8.narrow_i32x4_u(narrow(a), narrow(b)));
  }
  for (; i < end; i++) {
    const value = load<f32>(x + (<usize>i << 2));
    if (!(abs(value) <= HALF_MAX)) store<f32>(tooLarge, value);
    store<u16>(out + (<usize>i << 1), <u16>i32x4.extract_lane(narrow(f32x4.splat(value)), 0));
  }
}

function reportTooLarge(x: usize, tooLarge: usize): void {
  for (let i: usize = 0; i < 32; i += 4) {
    const value = load<f32>(x + i);
    if (!(abs(value) <= HALF_MAX)) store<f32>(tooLarge, value);
  }
}

/** Items are 16 numbers each, and all of them are written: half precision to f32. */
export function widenHalves(out: usize, x: usize, first: i32, last: i32): void {
  for (let i = <usize>first << 4; i < <usize>last << 4; i += 4) {
    v128.store(out + (i << 2), widen(v128.load16x4_u(x + (i << 1))));
  }
}

/** Items are 16 numbers each, and all of them are written: bfloat16, the upper half of an f32, to f32. */
export function widenBf16(out: usize, x: usize, first: i32, last: i32): void {
  for (let i = <usize>first << 4; i < <usize>last << 4; i += 4) {
    v128.store(out + (i << 2), i32x4.shl(v128.load16x4_u(x + (i << 1)), 16));
  }
}

/** Items are pieces of 64 KiB, of `bytes` (a multiple of 64): 16 bytes for each that tell of any change in it. */
export function digest(out: usize, x: usize, bytes: u32, first: i32, last: i32): void {
  for (let piece = first; piece < last; piece++) {
    let at = x + (<usize>piece << 16);
    const end = min(at + 65536, x + bytes);
    let a = i32x4.splat(1);
    let b = i32x4.splat(2);
    let c = i32x4.splat(3);
    let d = i32x4.splat(4);
    for (; at < end; at += 64) {
      a = mix(a, v128.load(at));
      b = mix(b, v128.load(at, 16));
      c = mix(c, v128.load(at, 32));
      d = mix(d, v128.load(at, 48));
    }
    v128.store(out + (<usize>piece << 4), mix(mix(mix(a, b), c), d));
  }
}

/** For any fixed word another sum gives another result, and the other way round. */
// @ts-ignore: decorator
@inline
function mix(sum: v128, word: v128): v128 {
  const x = v128.xor(sum, word);
  return i32x4.mul(v128.or(i32x4.shl(x, 13), i32x4.shr_u(x, 19)), i32x4.splat(0x9e3779b1));
}
