// One group with plain SIMD. Activations are 16-bit words. Weights are widened to words, and `dot_i16x8_s` multiplies and
// adds pairs. A vector of eight weights has a quad of one output and a quad of the next. So a vector of sums has two lanes for
// each of two outputs, which are added at the end of the group.
import { addGroup, QUAD_STEP, ROW_SUMS, SCALES } from "./int8-sums";

/** Stores eight activations, given as words, as numbers `i` to `i + 7` of the group at `q`. */
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

/** Adds the two lanes of each output. `a` has outputs 0 and 1, `b` has 2 and 3. */
// @ts-ignore: decorator
@inline
function addPairs(a: v128, b: v128): v128 {
  return i32x4.add(i32x4.shuffle(a, b, 0, 2, 4, 6), i32x4.shuffle(a, b, 1, 3, 5, 7));
}

/** Multiplies one group of one row by one block, and adds the results to the sums at `acc`. */
// @ts-ignore: decorator
@inline
export function group1(acc: usize, q: usize, scale: usize, w: usize): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  const end = w + SCALES;
  for (; w < end; w += QUAD_STEP, q += 8) {
    const x = v128.load64_splat(q);
    a = madd(a, v128.load8x8_s(w), x);
    b = madd(b, v128.load8x8_s(w, 8), x);
    c = madd(c, v128.load8x8_s(w, 16), x);
    d = madd(d, v128.load8x8_s(w, 24), x);
    e = madd(e, v128.load8x8_s(w, 32), x);
    f = madd(f, v128.load8x8_s(w, 40), x);
    g = madd(g, v128.load8x8_s(w, 48), x);
    h = madd(h, v128.load8x8_s(w, 56), x);
  }
  const xScale = v128.load32_splat(scale);
  addGroup(acc, addPairs(a, b), v128.load(end), xScale);
  addGroup(acc + 16, addPairs(c, d), v128.load(end, 16), xScale);
  addGroup(acc + 32, addPairs(e, f), v128.load(end, 32), xScale);
  addGroup(acc + 48, addPairs(g, h), v128.load(end, 48), xScale);
}

/** The same for two or three rows, a constant. Eight outputs at a time, so that all sums stay in registers. */
// @ts-ignore: decorator
@inline
export function groups(
  acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize, rows: i32,
): void {
  for (let half: usize = 0; half < QUAD_STEP; half += QUAD_STEP / 2) {
    eight(acc + half, q, qStride, scale, scaleStride, w + half, rows);
  }
}

/** Two or three rows by eight outputs of a block. */
// @ts-ignore: decorator
@inline
function eight(
  acc: usize, q: usize, qStride: usize, scale: usize, scaleStride: usize, w: usize, rows: i32,
): void {
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
  const end = w + SCALES; // also the address of these outputs' scales
  for (; w < end; w += QUAD_STEP, q += 8) {
    const x0 = v128.load64_splat(q);
    const x1 = v128.load64_splat(q + qStride);
    const x2 = rows > 2 ? v128.load64_splat(q + q2) : x1;
    let v = v128.load8x8_s(w);
    a0 = madd(a0, v, x0);
    a1 = madd(a1, v, x1);
    if (rows > 2) a2 = madd(a2, v, x2);
    v = v128.load8x8_s(w, 8);
    b0 = madd(b0, v, x0);
    b1 = madd(b1, v, x1);
    if (rows > 2) b2 = madd(b2, v, x2);
    v = v128.load8x8_s(w, 16);
    c0 = madd(c0, v, x0);
    c1 = madd(c1, v, x1);
    if (rows > 2) c2 = madd(c2, v, x2);
    v = v128.load8x8_s(w, 24);
    d0 = madd(d0, v, x0);
    d1 = madd(d1, v, x1);
    if (rows > 2) d2 = madd(d2, v, x2);
  }
  add8(acc, a0, b0, c0, d0, end, scale);
  add8(acc + ROW_SUMS, a1, b1, c1, d1, end, scale + scaleStride);
  if (rows > 2) add8(acc + 2 * ROW_SUMS, a2, b2, c2, d2, end, scale + scaleStride * 2);
}

/** Adds one row's sums of eight outputs to the accumulators at `acc`. */
// @ts-ignore: decorator
@inline
function add8(acc: usize, a: v128, b: v128, c: v128, d: v128, scales: usize, scale: usize): void {
  const xScale = v128.load32_splat(scale);
  addGroup(acc, addPairs(a, b), v128.load(scales), xScale);
  addGroup(acc + 16, addPairs(c, d), v128.load(scales, 16), xScale);
}
