// One group of 64 with relaxed SIMD, for processors that add four products of bytes in one instruction (AVX-VNNI, Arm's
// dot product). A 14-bit activation is x = 128·(h − 64) + l with two halves of 7 bits, 0 … 127, for which the relaxed dot
// product is exact everywhere: Σ w·x = ((Σ w·h − 64·Σ w) · 128) + Σ w·l, the same integer as `int8-words.ts` finds.
import { addGroup } from "./int8-sums";

/** Stores eight activations, given as words, as number `i` to `i + 7` of the group at `q`: 64 bytes l, 64 bytes h. */
// @ts-ignore: decorator
@inline
export function storeActivations(q: usize, i: i32, words: v128): void {
  const low = v128.and(words, i16x8.splat(127));
  const high = i16x8.add(i16x8.shr_s(words, 7), i16x8.splat(64));
  const both = i8x16.narrow_i16x8_u(low, high);
  v128.store64_lane(q + <usize>i, both, 0);
  v128.store64_lane(q + <usize>i, both, 1, 64);
}

// @ts-ignore: decorator
@inline
export function storeActivation(q: usize, i: i32, value: i32): void {
  store<u8>(q + <usize>i, <u8>(value & 127));
  store<u8>(q + <usize>i, <u8>((value >> 7) + 64), 64);
}

// @ts-ignore: decorator
@inline
function dot(sum: v128, w: usize, x: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(w), x, sum);
}

/** −64 · Σ w over the four quarters of one output's 64 weights. */
// @ts-ignore: decorator
@inline
function minusOffset(w: usize): v128 {
  const offset = i8x16.splat(64);
  return i32x4.neg(dot(dot(dot(dot(i32x4.splat(0), w, offset), w + 16, offset), w + 32, offset), w + 48, offset));
}

// The upper halves come first and are shifted up, with the offset, when the lower ones are added.

/** Adds one group of one row against one block to its sums at `acc`. */
// @ts-ignore: decorator
@inline
export function group1(acc: usize, q: usize, scale: usize, w: usize): void {
  let a0 = minusOffset(w);
  let b0 = minusOffset(w + 64);
  let c0 = minusOffset(w + 128);
  let d0 = minusOffset(w + 192);
  for (let half = 1; half >= 0; half--) {
    const shift = half ? 0 : 7;
    a0 = i32x4.shl(a0, shift);
    b0 = i32x4.shl(b0, shift);
    c0 = i32x4.shl(c0, shift);
    d0 = i32x4.shl(d0, shift);
    const x = q + (<usize>half << 6);
    for (let i: usize = 0; i < 64; i += 16) {
      const x0 = v128.load(x + i);
      a0 = dot(a0, w + i, x0);
      b0 = dot(b0, w + i + 64, x0);
      c0 = dot(c0, w + i + 128, x0);
      d0 = dot(d0, w + i + 192, x0);
    }
  }
  const weightScales = v128.load(w, 256);
  v128.store(acc, addGroup(v128.load(acc), a0, b0, c0, d0, weightScales, scale));
}

/** Two rows against one block. */
// @ts-ignore: decorator
@inline
export function group2(acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize): void {
  let a0 = minusOffset(w);
  let b0 = minusOffset(w + 64);
  let c0 = minusOffset(w + 128);
  let d0 = minusOffset(w + 192);
  let a1 = a0;
  let b1 = b0;
  let c1 = c0;
  let d1 = d0;
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
    const x = q + (<usize>half << 6);
    for (let i: usize = 0; i < 64; i += 16) {
      const x0 = v128.load(x + i);
      const x1 = v128.load(x + qStride + i);
      a0 = dot(a0, w + i, x0);
      a1 = dot(a1, w + i, x1);
      b0 = dot(b0, w + i + 64, x0);
      b1 = dot(b1, w + i + 64, x1);
      c0 = dot(c0, w + i + 128, x0);
      c1 = dot(c1, w + i + 128, x1);
      d0 = dot(d0, w + i + 192, x0);
      d1 = dot(d1, w + i + 192, x1);
    }
  }
  const weightScales = v128.load(w, 256);
  v128.store(acc, addGroup(v128.load(acc), a0, b0, c0, d0, weightScales, scale));
  v128.store(acc, addGroup(v128.load(acc, 16), a1, b1, c1, d1, weightScales, scale + scaleStride), 16);
}

/** Three rows against one block: the most rows whose twelve group sums stay in registers. */
// @ts-ignore: decorator
@inline
export function group3(acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize): void {
  let a0 = minusOffset(w);
  let b0 = minusOffset(w + 64);
  let c0 = minusOffset(w + 128);
  let d0 = minusOffset(w + 192);
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
    const x = q + (<usize>half << 6);
    for (let i: usize = 0; i < 64; i += 16) {
      const x0 = v128.load(x + i);
      const x1 = v128.load(x + qStride + i);
      const x2 = v128.load(x + qStride * 2 + i);
      a0 = dot(a0, w + i, x0);
      a1 = dot(a1, w + i, x1);
      a2 = dot(a2, w + i, x2);
      b0 = dot(b0, w + i + 64, x0);
      b1 = dot(b1, w + i + 64, x1);
      b2 = dot(b2, w + i + 64, x2);
      c0 = dot(c0, w + i + 128, x0);
      c1 = dot(c1, w + i + 128, x1);
      c2 = dot(c2, w + i + 128, x2);
      d0 = dot(d0, w + i + 192, x0);
      d1 = dot(d1, w + i + 192, x1);
      d2 = dot(d2, w + i + 192, x2);
    }
  }
  const weightScales = v128.load(w, 256);
  v128.store(acc, addGroup(v128.load(acc), a0, b0, c0, d0, weightScales, scale));
  v128.store(acc, addGroup(v128.load(acc, 16), a1, b1, c1, d1, weightScales, scale + scaleStride), 16);
  v128.store(acc, addGroup(v128.load(acc, 32), a2, b2, c2, d2, weightScales, scale + scaleStride * 2), 32);
}
