// y = x·W + b in f32. One accumulator an output with k ascending, multiplied and then added, never fused: the sum's
// bits do not depend on how rows and outputs are tiled. Weights lie in panels of 16 outputs, [N/16][K][16], so that a
// thread reads one stream; a panel stays in the cache while every row block passes over it.
import { activate } from "./math";

const PANEL_BYTES: usize = 64; // 16 outputs of 4 bytes

// Epilogue numbers: the same as `Epilogue` in `../program.ts`; larger numbers are activations.
const STORE: i32 = 0;
const ADD_TO: i32 = 1;

/** Adds the bias, applies the epilogue and stores four outputs. */
// @ts-ignore: decorator
@inline
export function finish(out: usize, sum: v128, bias: usize, epilogue: i32): void {
  let y = bias ? f32x4.add(sum, v128.load(bias)) : sum;
  if (epilogue == ADD_TO) y = f32x4.add(v128.load(out), y);
  else if (epilogue != STORE) y = activate(epilogue, y);
  v128.store(out, y);
}

// @ts-ignore: decorator
@inline
function madd(sum: v128, x: v128, w: v128): v128 {
  return f32x4.add(sum, f32x4.mul(x, w));
}

/** One row against one panel: 16 outputs. */
function tile1(out: usize, x: usize, w: usize, bias: usize, inBytes: usize, epilogue: i32): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  for (const end = x + inBytes; x < end; x += 4, w += PANEL_BYTES) {
    const v = v128.load32_splat(x);
    a0 = madd(a0, v, v128.load(w));
    a1 = madd(a1, v, v128.load(w, 16));
    a2 = madd(a2, v, v128.load(w, 32));
    a3 = madd(a3, v, v128.load(w, 48));
  }
  finish(out, a0, bias, epilogue);
  finish(out + 16, a1, bias ? bias + 16 : 0, epilogue);
  finish(out + 32, a2, bias ? bias + 32 : 0, epilogue);
  finish(out + 48, a3, bias ? bias + 48 : 0, epilogue);
}

/** One row against two neighbouring panels: eight independent sums hide the latency of the addition. */
function tile1x2(out: usize, x: usize, w: usize, bias: usize, inBytes: usize, epilogue: i32): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  let u = w + (inBytes << 4);
  for (const end = x + inBytes; x < end; x += 4, w += PANEL_BYTES, u += PANEL_BYTES) {
    const v = v128.load32_splat(x);
    a0 = madd(a0, v, v128.load(w));
    a1 = madd(a1, v, v128.load(w, 16));
    a2 = madd(a2, v, v128.load(w, 32));
    a3 = madd(a3, v, v128.load(w, 48));
    b0 = madd(b0, v, v128.load(u));
    b1 = madd(b1, v, v128.load(u, 16));
    b2 = madd(b2, v, v128.load(u, 32));
    b3 = madd(b3, v, v128.load(u, 48));
  }
  finish(out, a0, bias, epilogue);
  finish(out + 16, a1, bias ? bias + 16 : 0, epilogue);
  finish(out + 32, a2, bias ? bias + 32 : 0, epilogue);
  finish(out + 48, a3, bias ? bias + 48 : 0, epilogue);
  finish(out + 64, b0, bias ? bias + 64 : 0, epilogue);
  finish(out + 80, b1, bias ? bias + 80 : 0, epilogue);
  finish(out + 96, b2, bias ? bias + 96 : 0, epilogue);
  finish(out + 112, b3, bias ? bias + 112 : 0, epilogue);
}

/** Four rows against half a panel: 8 outputs each. */
function tile4(
  out: usize,
  outStride: usize,
  x: usize,
  xStride: usize,
  w: usize,
  bias: usize,
  inBytes: usize,
  epilogue: i32,
): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  const x1 = xStride;
  const x2 = xStride * 2;
  const x3 = xStride * 3;
  for (const end = x + inBytes; x < end; x += 4, w += PANEL_BYTES) {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    let v = v128.load32_splat(x);
    a0 = madd(a0, v, w0);
    a1 = madd(a1, v, w1);
    v = v128.load32_splat(x + x1);
    b0 = madd(b0, v, w0);
    b1 = madd(b1, v, w1);
    v = v128.load32_splat(x + x2);
    c0 = madd(c0, v, w0);
    c1 = madd(c1, v, w1);
    v = v128.load32_splat(x + x3);
    d0 = madd(d0, v, w0);
    d1 = madd(d1, v, w1);
  }
  const bias1 = bias ? bias + 16 : 0;
  finish(out, a0, bias, epilogue);
  finish(out + 16, a1, bias1, epilogue);
  out += outStride;
  finish(out, b0, bias, epilogue);
  finish(out + 16, b1, bias1, epilogue);
  out += outStride;
  finish(out, c0, bias, epilogue);
  finish(out + 16, c1, bias1, epilogue);
  out += outStride;
  finish(out, d0, bias, epilogue);
  finish(out + 16, d1, bias1, epilogue);
}

/** Panels `first` to `last` (exclusive) of y[rows, N] from x[rows, K]; `bias` 0 means none. */
export function matmul(
  out: usize,
  x: usize,
  weight: usize,
  bias: usize,
  rows: i32,
  inWidth: i32,
  outWidth: i32,
  epilogue: i32,
  first: i32,
  last: i32,
): void {
  const inBytes = <usize>inWidth << 2;
  const xStride = <usize>((inWidth + 15) & ~15) << 2;
  const outStride = <usize>((outWidth + 15) & ~15) << 2;
  const panelBytes = inBytes << 4;
  let panel = first;
  if (rows == 1) {
    for (; panel + 2 <= last; panel += 2) {
      const at = <usize>panel * PANEL_BYTES;
      tile1x2(out + at, x, weight + <usize>panel * panelBytes, bias ? bias + at : 0, inBytes, epilogue);
    }
  }
  for (; panel < last; panel++) {
    const at = <usize>panel * PANEL_BYTES;
    const w = weight + <usize>panel * panelBytes;
    const b = bias ? bias + at : 0;
    let row = 0;
    for (; row + 4 <= rows; row += 4) {
      const y = out + <usize>row * outStride + at;
      const v = x + <usize>row * xStride;
      tile4(y, outStride, v, xStride, w, b, inBytes, epilogue);
      tile4(y + 32, outStride, v, xStride, w + 32, b ? b + 32 : 0, inBytes, epilogue);
    }
    for (; row < rows; row++) {
      tile1(out + <usize>row * outStride + at, x + <usize>row * xStride, w, b, inBytes, epilogue);
    }
  }
}
