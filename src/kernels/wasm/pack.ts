// Packs a checkpoint's weights into the layouts that the other kernels read, a piece of a tensor at a time. A piece of a matrix
// stored [in, out] is some rows along k. A piece of a matrix stored [out, in] is some outputs. 8-bit weights are quantised in
// f64, because the definition, `../reference/pack.ts`, computes with JavaScript's numbers.
import { narrow, widen } from "./half";
import { QUAD_STEP, SCALES } from "./int8-sums";
import {
  BLOCK, BLOCK_BYTES, CONVERTED, DIGEST_BYTES, DIGESTED_BYTES, DigestInstruction, GROUP, HALF_MAX, LINE_BYTES,
  NarrowHalvesInstruction, PackInOutInstruction, PackInOutInt8Instruction, PackOutInInstruction, PackOutInInt8Instruction,
  PANEL, QUAD, WEIGHT_MAX, WidenBf16Instruction, WidenHalvesInstruction,
} from "./numbers.generated";
import { rotateColumns, rotateGroup } from "./rotation";
import { countGroups, PANEL_BYTES } from "./shapes";

const LARGEST: f64 = <f64>WEIGHT_MAX;
const LARGEST_HALF: f32 = <f32>HALF_MAX;

/** Rounds as Math.round does: to nearest, ties up. NaN stays, and becomes 0 in the conversion to an integer. */
// @ts-ignore: decorator
@inline
function round(x: v128): v128 {
  const rounded = f64x2.nearest(x);
  const isTie = f64x2.eq(f64x2.sub(x, rounded), f64x2.splat(0.5));
  return f64x2.add(rounded, v128.and(isTie, f64x2.splat(1)));
}

/** Moves lanes 2 and 3 to lanes 0 and 1. */
// @ts-ignore: decorator
@inline
function upper(x: v128): v128 {
  return i64x2.shuffle(x, x, 1, 1);
}

/** Four weights as integers. `low` and `high` are the inverse scales of the first two and of the last two. */
// @ts-ignore: decorator
@inline
function quantize4(x: v128, low: v128, high: v128): v128 {
  const a = round(f64x2.mul(f64x2.promote_low_f32x4(x), low));
  const b = round(f64x2.mul(f64x2.promote_low_f32x4(upper(x)), high));
  return i64x2.shuffle(i32x4.trunc_sat_f64x2_s_zero(a), i32x4.trunc_sat_f64x2_s_zero(b), 0, 2);
}

/** The inverse scales of two lanes. 0 where the largest magnitude is 0. */
// @ts-ignore: decorator
@inline
function inverseOf(largest: v128): v128 {
  const wide = f64x2.promote_low_f32x4(largest);
  return v128.and(f64x2.div(f64x2.splat(LARGEST), wide), f64x2.gt(wide, f64x2.splat(0)));
}

/** The scales of four lanes. */
// @ts-ignore: decorator
@inline
function scalesOf(largest: v128): v128 {
  const low = f64x2.div(f64x2.promote_low_f32x4(largest), f64x2.splat(LARGEST));
  const high = f64x2.div(f64x2.promote_low_f32x4(upper(largest)), f64x2.splat(LARGEST));
  return i64x2.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** The address of the first quad of an output (`lane`) in a block. Its next quad is `QUAD_STEP` bytes further. */
// @ts-ignore: decorator
@inline
function laneOf(block: usize, lane: i32): usize {
  return block + <usize>lane * QUAD;
}

/** The address of the k-th weight of a group. `to`: the output's first quad. */
// @ts-ignore: decorator
@inline
function weightAt(to: usize, k: u32): usize {
  return to + <usize>(k / QUAD) * QUAD_STEP + <usize>(k % QUAD);
}

/** Quantises a group of one output whose values are `stride` bytes apart. For the edges of a matrix. `to`: see `laneOf`. */
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
    store<i8>(weightAt(to, i), <i8>i32x4.extract_lane(value, 0));
  }
  store<f32>(to, f32x4.extract_lane(scalesOf(splat), 0), SCALES);
}

/** Quantises a whole group of one output whose values lie side by side. */
function quantizeRow(to: usize, x: usize): void {
  const end = x + 4 * GROUP;
  let m = f32x4.splat(0);
  for (let at = x; at < end; at += 16) m = f32x4.pmax(m, f32x4.abs(v128.load(at)));
  m = f32x4.pmax(m, i32x4.shuffle(m, m, 2, 3, 0, 1));
  m = f32x4.pmax(m, i32x4.shuffle(m, m, 1, 0, 3, 2));
  const inverse = inverseOf(m);
  let out = to;
  for (let at = x; at < end; at += 64, out += 4 * QUAD_STEP) {
    const a = quantize4(v128.load(at), inverse, inverse);
    const b = quantize4(v128.load(at, 16), inverse, inverse);
    const c = quantize4(v128.load(at, 32), inverse, inverse);
    const d = quantize4(v128.load(at, 48), inverse, inverse);
    const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
    v128.store32_lane(out, bytes, 0);
    v128.store32_lane(out, bytes, 1, QUAD_STEP);
    v128.store32_lane(out, bytes, 2, 2 * QUAD_STEP);
    v128.store32_lane(out, bytes, 3, 3 * QUAD_STEP);
  }
  store<f32>(to, f32x4.extract_lane(scalesOf(m), 0), SCALES);
}

/** Quantises a group of four neighbouring outputs: `count` rows, `stride` bytes apart. `to`: of the first, see `laneOf`. */
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
    v128.store(weightAt(to, k), turned);
  }
  for (; k < count; k++) {
    const value = quantize4(v128.load(x + <usize>k * stride), low, high);
    const out = weightAt(to, k);
    store<i8>(out, <i8>i32x4.extract_lane(value, 0));
    store<i8>(out, <i8>i32x4.extract_lane(value, 1), QUAD);
    store<i8>(out, <i8>i32x4.extract_lane(value, 2), 2 * QUAD);
    store<i8>(out, <i8>i32x4.extract_lane(value, 3), 3 * QUAD);
  }
  v128.store(to, scalesOf(m), SCALES);
}

/** Rotates and quantises a group of one output whose values are `stride` bytes apart. `scratch`: room for the group. */
function rotateOne(to: usize, x: usize, stride: usize, count: i32, scratch: usize): void {
  memory.fill(scratch, 0, 4 * GROUP);
  for (let i: usize = 0; i < <usize>count; i++) store<f32>(scratch + (i << 2), load<f32>(x + i * stride));
  rotateGroup(scratch);
  quantizeRow(to, scratch);
}

/** Rotates and quantises a group of four neighbouring outputs. `scratch`: room for their groups. */
function rotateFour(to: usize, x: usize, stride: usize, count: i32, scratch: usize): void {
  const end = scratch + 16 * GROUP;
  let at = scratch;
  for (let i: usize = 0; i < <usize>count; i++, at += 16) v128.store(at, v128.load(x + i * stride));
  memory.fill(at, 0, end - at);
  rotateColumns(scratch);
  quantizeColumns(to, scratch, 16, GROUP);
}

/** Items are blocks. x[count, outWidth]: the rows from `begin` on of a matrix stored [in, out]. `begin` is a multiple of 64. */
export function packInOutInt8(a: PackInOutInt8Instruction, part: i32, first: i32, last: i32): void {
  const scratch = a.scratch + <usize>part * a.scratchBytes;
  const outWidth = a.outWidth;
  const groups = <usize>countGroups(a.inWidth);
  const stride = <usize>outWidth << 2;
  // All blocks of a group come before the next group: a block reads one cache line of every row of x, its neighbour the next
  // line.
  for (let done = 0; done < a.count; done += GROUP) {
    const group = <usize>((a.begin + done) / GROUP);
    const rows = min(GROUP, a.count - done);
    for (let n = first; n < last; n++) {
      const block = a.weight + (<usize>n * groups + group) * BLOCK_BYTES;
      const from = a.x + <usize>done * stride + (<usize>(n * BLOCK) << 2);
      const outputs = min(BLOCK, outWidth - n * BLOCK);
      let lane = 0;
      for (; lane + 4 <= outputs; lane += 4) {
        const at = from + (<usize>lane << 2);
        if (a.isRotated) rotateFour(laneOf(block, lane), at, stride, rows, scratch);
        else quantizeColumns(laneOf(block, lane), at, stride, rows);
      }
      for (; lane < outputs; lane++) {
        const at = from + (<usize>lane << 2);
        if (a.isRotated) rotateOne(laneOf(block, lane), at, stride, rows, scratch);
        else quantizeOne(laneOf(block, lane), at, stride, rows);
      }
    }
  }
}

/** Items are outputs. x[count, inWidth]: the outputs from `begin` on of a matrix stored [out, in]. */
export function packOutInInt8(a: PackOutInInt8Instruction, part: i32, first: i32, last: i32): void {
  const scratch = a.scratch + <usize>part * a.scratchBytes;
  const inWidth = a.inWidth;
  const groups = <usize>countGroups(inWidth);
  for (let row = first; row < last; row++) {
    const n = a.begin + row;
    let to = laneOf(a.weight + <usize>(n / BLOCK) * groups * BLOCK_BYTES, n % BLOCK);
    let from = a.x + <usize>row * (<usize>inWidth << 2);
    for (let k = 0; k < inWidth; k += GROUP, to += BLOCK_BYTES, from += 4 * GROUP) {
      if (a.isRotated) rotateOne(to, from, 4, min(GROUP, inWidth - k), scratch);
      else if (k + GROUP <= inWidth) quantizeRow(to, from);
      else quantizeOne(to, from, 4, inWidth - k);
    }
  }
}

/** Items are panels. x[count, outWidth]: the rows from `begin` on of a matrix stored [in, out]. */
export function packInOut(a: PackInOutInstruction, first: i32, last: i32): void {
  const outWidth = a.outWidth;
  for (let panel = first; panel < last; panel++) {
    const bytes = <usize>min(PANEL, outWidth - panel * PANEL) << 2;
    const to = a.weight + (<usize>panel * <usize>a.inWidth + <usize>a.begin) * PANEL_BYTES;
    const from = a.x + <usize>panel * PANEL_BYTES;
    for (let k: usize = 0; k < <usize>a.count; k++) {
      memory.copy(to + k * PANEL_BYTES, from + k * (<usize>outWidth << 2), bytes);
    }
  }
}

/** Items are panels. x[count, inWidth]: the outputs from `begin` on of a matrix stored [out, in]. */
export function packOutIn(a: PackOutInInstruction, first: i32, last: i32): void {
  const inWidth = a.inWidth;
  const stride = <usize>inWidth << 2;
  for (let panel = first; panel < last; panel++) {
    const rows = min(PANEL, a.count - panel * PANEL);
    const from = a.x + <usize>(panel * PANEL) * stride;
    const to = a.weight + <usize>(a.begin + panel * PANEL) * stride;
    let row = 0;
    for (; row + 4 <= rows; row += 4) turn4(to + (<usize>row << 2), from + <usize>row * stride, inWidth);
    for (; row < rows; row++) {
      const at = from + <usize>row * stride;
      for (let k: usize = 0; k < <usize>inWidth; k++) {
        store<f32>(to + k * PANEL_BYTES + (<usize>row << 2), load<f32>(at + (k << 2)));
      }
    }
  }
}

/** Transposes four rows of `width` floats into four columns of a panel. */
function turn4(to: usize, x: usize, width: i32): void {
  const stride = <usize>width << 2;
  let k: usize = 0;
  for (; k + 4 <= <usize>width; k += 4) {
    const at = x + (k << 2);
    const out = to + k * PANEL_BYTES;
    const a = v128.load(at);
    const b = v128.load(at + stride);
    const c = v128.load(at + stride * 2);
    const d = v128.load(at + stride * 3);
    const lowAb = i32x4.shuffle(a, b, 0, 4, 1, 5);
    const highAb = i32x4.shuffle(a, b, 2, 6, 3, 7);
    const lowCd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    const highCd = i32x4.shuffle(c, d, 2, 6, 3, 7);
    v128.store(out, i64x2.shuffle(lowAb, lowCd, 0, 2));
    v128.store(out, i64x2.shuffle(lowAb, lowCd, 1, 3), PANEL_BYTES);
    v128.store(out, i64x2.shuffle(highAb, highCd, 0, 2), 2 * PANEL_BYTES);
    v128.store(out, i64x2.shuffle(highAb, highCd, 1, 3), 3 * PANEL_BYTES);
  }
  for (; k < <usize>width; k++) {
    for (let row: usize = 0; row < 4; row++) {
      store<f32>(to + k * PANEL_BYTES + (row << 2), load<f32>(x + row * stride + (k << 2)));
    }
  }
}

/** f32 to half precision. If a number is too large for that, it is also stored at `tooLarge`. */
export function narrowHalves(a: NarrowHalvesInstruction, first: i32, last: i32): void {
  const limit = f32x4.splat(LARGEST_HALF);
  const end = min(last * CONVERTED, a.count);
  let i = first * CONVERTED;
  for (; i + 8 <= end; i += 8) {
    const from = a.x + (<usize>i << 2);
    const low = v128.load(from);
    const high = v128.load(from, 16);
    const fits = v128.and(f32x4.le(f32x4.abs(low), limit), f32x4.le(f32x4.abs(high), limit));
    if (!i32x4.all_true(fits)) {
      for (let at = from; at < from + 32; at += 4) reportTooLarge(load<f32>(at), a.tooLarge);
    }
    v128.store(a.out + (<usize>i << 1), i16x8.narrow_i32x4_u(narrow(low), narrow(high)));
  }
  for (; i < end; i++) {
    const value = load<f32>(a.x + (<usize>i << 2));
    reportTooLarge(value, a.tooLarge);
    store<u16>(a.out + (<usize>i << 1), <u16>i32x4.extract_lane(narrow(f32x4.splat(value)), 0));
  }
}

function reportTooLarge(value: f32, tooLarge: usize): void {
  if (!(abs(value) <= LARGEST_HALF)) store<f32>(tooLarge, value);
}

/** Half precision to f32. Writes whole items, even if the last one has fewer numbers. */
export function widenHalves(a: WidenHalvesInstruction, first: i32, last: i32): void {
  for (let i = <usize>first * CONVERTED; i < <usize>last * CONVERTED; i += 4) {
    v128.store(a.out + (i << 2), widen(v128.load16x4_u(a.x + (i << 1))));
  }
}

/** bfloat16, which is the upper half of an f32, to f32. Writes whole items, even if the last one has fewer numbers. */
export function widenBf16(a: WidenBf16Instruction, first: i32, last: i32): void {
  for (let i = <usize>first * CONVERTED; i < <usize>last * CONVERTED; i += 4) {
    v128.store(a.out + (i << 2), i32x4.shl(v128.load16x4_u(a.x + (i << 1)), 16));
  }
}

/** Items are pieces of `bytes`, a multiple of 64. Computes a digest of each, which changes with every bit of the piece. */
export function digest(a: DigestInstruction, first: i32, last: i32): void {
  const bytes = <usize>a.bytes;
  for (let piece = <usize>first; piece < <usize>last; piece++) {
    let at = a.x + piece * DIGESTED_BYTES;
    const end = min(at + DIGESTED_BYTES, a.x + bytes);
    let s0 = i32x4.splat(1);
    let s1 = i32x4.splat(2);
    let s2 = i32x4.splat(3);
    let s3 = i32x4.splat(4);
    for (; at < end; at += LINE_BYTES) {
      s0 = mix(s0, v128.load(at));
      s1 = mix(s1, v128.load(at, 16));
      s2 = mix(s2, v128.load(at, 32));
      s3 = mix(s3, v128.load(at, 48));
    }
    v128.store(a.out + piece * DIGEST_BYTES, mix(mix(mix(s0, s1), s2), s3));
  }
}

/** One step of a digest. It is one-to-one in `sum` and in `word`, so a difference in one of them is never lost. */
// @ts-ignore: decorator
@inline
function mix(sum: v128, word: v128): v128 {
  const x = v128.xor(sum, word);
  return i32x4.mul(v128.or(i32x4.shl(x, 13), i32x4.shr_u(x, 19)), i32x4.splat(0x9e3779b1));
}
