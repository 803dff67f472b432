// One group with relaxed SIMD, for processors that multiply bytes and add four products in one instruction (AVX-VNNI, Arm's
// dot product). A 14-bit activation is split into two halves of 7 bits, h and l, both 0 … 127: x = 128·(h − 64) + l. The
// relaxed dot product is exact for such bytes on every processor, so
//   Σ w·x = ((Σ w·h − 64·Σ w) · 128) + Σ w·l
// is the same integer that `int8-words.ts` computes. A vector of 16 weights has a quad of each of four outputs, so a vector of
// sums has one lane for each of them.
import { addGroup, QUAD_STEP, ROW_SUMS, SCALES } from "./int8-sums";
import { GROUP } from "./numbers.generated";

const HIGH: usize = GROUP; // a group has all its l first, then all its h

/** Stores eight activations, given as words, as numbers `i` to `i + 7` of the group at `q`. */
// @ts-ignore: decorator
@inline
export function storeActivations(q: usize, i: i32, words: v128): void {
  const low = v128.and(words, i16x8.splat(127));
  const high = i16x8.add(i16x8.shr_s(words, 7), i16x8.splat(64));
  const both = i8x16.narrow_i16x8_u(low, high);
  v128.store64_lane(q + <usize>i, both, 0);
  v128.store64_lane(q + <usize>i, both, 1, HIGH);
}

// @ts-ignore: decorator
@inline
export function storeActivation(q: usize, i: i32, value: i32): void {
  store<u8>(q + <usize>i, <u8>(value & 127));
  store<u8>(q + <usize>i, <u8>((value >> 7) + 64), HIGH);
}

// @ts-ignore: decorator
@inline
function dot(sum: v128, w: v128, x: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, sum);
}

/** (Σ w·h − 64·Σ w) · 128 + Σ w·l */
// @ts-ignore: decorator
@inline
function combine(low: v128, high: v128, offset: v128): v128 {
  return i32x4.add(i32x4.shl(i32x4.sub(high, offset), 7), low);
}

/**
 * Multiplies one group of one row by one block, and adds the results to the sums at `acc`. An output has three partial sums: low,
 * high, offset.
 */
// @ts-ignore: decorator
@inline
export function group1(acc: usize, q: usize, scale: usize, w: usize): void {
  let aLow = i32x4.splat(0);
  let aHigh = aLow;
  let aOffset = aLow;
  let bLow = aLow;
  let bHigh = aLow;
  let bOffset = aLow;
  let cLow = aLow;
  let cHigh = aLow;
  let cOffset = aLow;
  let dLow = aLow;
  let dHigh = aLow;
  let dOffset = aLow;
  const offset = i8x16.splat(64);
  const end = w + SCALES;
  for (; w < end; w += QUAD_STEP, q += 4) {
    const low = v128.load32_splat(q);
    const high = v128.load32_splat(q, HIGH);
    let v = v128.load(w);
    aLow = dot(aLow, v, low);
    aHigh = dot(aHigh, v, high);
    aOffset = dot(aOffset, v, offset);
    v = v128.load(w, 16);
    bLow = dot(bLow, v, low);
    bHigh = dot(bHigh, v, high);
    bOffset = dot(bOffset, v, offset);
    v = v128.load(w, 32);
    cLow = dot(cLow, v, low);
    cHigh = dot(cHigh, v, high);
    cOffset = dot(cOffset, v, offset);
    v = v128.load(w, 48);
    dLow = dot(dLow, v, low);
    dHigh = dot(dHigh, v, high);
    dOffset = dot(dOffset, v, offset);
  }
  const a = combine(aLow, aHigh, aOffset);
  const b = combine(bLow, bHigh, bOffset);
  const c = combine(cLow, cHigh, cOffset);
  const d = combine(dLow, dHigh, dOffset);
  add16(acc, a, b, c, d, end, scale);
}

/** −64 · Σ w for each of four outputs. */
// @ts-ignore: decorator
@inline
function minusOffset(w: usize): v128 {
  let sum = i32x4.splat(0);
  for (const end = w + SCALES; w < end; w += QUAD_STEP) sum = dot(sum, v128.load(w), i8x16.splat(64));
  return i32x4.neg(sum);
}

/** Adds one row's sums of a group, of 16 outputs, to the accumulators at `acc`. */
// @ts-ignore: decorator
@inline
function add16(acc: usize, a: v128, b: v128, c: v128, d: v128, scales: usize, scale: usize): void {
  const xScale = v128.load32_splat(scale);
  addGroup(acc, a, v128.load(scales), xScale);
  addGroup(acc + 16, b, v128.load(scales, 16), xScale);
  addGroup(acc + 32, c, v128.load(scales, 32), xScale);
  addGroup(acc + 48, d, v128.load(scales, 48), xScale);
}

/**
 * The same for two or three rows. `rows` is a constant; the sums of more rows would not stay in registers. An output of a row
 * has a single sum here: it begins with the offset, the products of h are added, it is shifted up by 7 bits, and the products
 * of l are added.
 */
// @ts-ignore: decorator
@inline
export function groups(
  acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize, rows: i32,
): void {
  let a0 = minusOffset(w);
  let b0 = minusOffset(w + 16);
  let c0 = minusOffset(w + 32);
  let d0 = minusOffset(w + 48);
  let a1 = a0;
  let b1 = b0;
  let c1 = c0;
  let d1 = d0;
  let a2 = a0;
  let b2 = b0;
  let c2 = c0;
  let d2 = d0;
  for (let half = 1; half >= 0; half--) {
    const shift = half ? 0 : 7;
    a0 = i32x4.shl(a0, shift);
    b0 = i32x4.shl(b0, shift);
    c0 = i32x4.shl(c0, shift);
    d0 = i32x4.shl(d0, shift);
    a1 = i32x4.shl(a1, shift);
    b1 = i32x4.shl(b1, shift);
    c1 = i32x4.shl(c1, shift);
    d1 = i32x4.shl(d1, shift);
    a2 = i32x4.shl(a2, shift);
    b2 = i32x4.shl(b2, shift);
    c2 = i32x4.shl(c2, shift);
    d2 = i32x4.shl(d2, shift);
    let x = half ? q + HIGH : q;
    for (let at = w; at < w + SCALES; at += QUAD_STEP, x += 4) {
      const x0 = v128.load32_splat(x);
      const x1 = v128.load32_splat(x + qStride);
      const x2 = rows > 2 ? v128.load32_splat(x + qStride * 2) : x1;
      let v = v128.load(at);
      a0 = dot(a0, v, x0);
      a1 = dot(a1, v, x1);
      if (rows > 2) a2 = dot(a2, v, x2);
      v = v128.load(at, 16);
      b0 = dot(b0, v, x0);
      b1 = dot(b1, v, x1);
      if (rows > 2) b2 = dot(b2, v, x2);
      v = v128.load(at, 32);
      c0 = dot(c0, v, x0);
      c1 = dot(c1, v, x1);
      if (rows > 2) c2 = dot(c2, v, x2);
      v = v128.load(at, 48);
      d0 = dot(d0, v, x0);
      d1 = dot(d1, v, x1);
      if (rows > 2) d2 = dot(d2, v, x2);
    }
  }
  add16(acc, a0, b0, c0, d0, w + SCALES, scale);
  add16(acc + ROW_SUMS, a1, b1, c1, d1, w + SCALES, scale + scaleStride);
  if (rows > 2) add16(acc + 2 * ROW_SUMS, a2, b2, c2, d2, w + SCALES, scale + scaleStride * 2);
}
