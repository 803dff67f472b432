// One group of 64 with plain SIMD: activations are 16-bit words, weights are widened to words, and pairs of products
// are added by `dot_i16x8_s`.
import { addGroup } from "./int8-sums";

/** Stores eight activations, given as words, as number `i` to `i + 7` of the group at `q`. */
// @ts-ignore: decorator
@inline
export function storeActivations(q: usize, i: i32, words: v128): void {
  v128.store(q + (<usize>i << 1), words);
}

// @ts-ignore: decorator
@inline
export function storeActivation(q: usize, i: i32, value: i32): void {
  store<i16>(q + (<usize>i << 1), <i16>value);
}

// @ts-ignore: decorator
@inline
function madd(sum: v128, w: v128, x: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(w, x));
}

/** Adds one group of one row against one block to its sums at `acc`. */
// @ts-ignore: decorator
@inline
export function group1(acc: usize, q: usize, scale: usize, w: usize): void {
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
export function group2(acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize): void {
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
export function group3(acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize): void {
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
