// y = x·W + b in f32. Each output has one accumulator, k ascending. Products are rounded before they are added, never fused. So
// the bits do not depend on how rows and outputs are tiled. Weights lie in panels of 16 outputs, [N/16][K][16]. All rows pass
// over a panel while it is in the cache. Memory is faster when several ascending streams are read in turn than with one. So a
// thread cuts its panels into `STREAMS` runs and reads them side by side.
import { activate } from "./math";
import { EPILOGUE_ADD, EPILOGUE_STORE, MatmulInstruction, STREAMS, TILE_ROWS } from "./numbers.generated";
import { PANEL_BYTES, rowBytes } from "./shapes";

const SUM_BYTES: usize = TILE_ROWS * PANEL_BYTES; // of a tile's sums of one panel
const CHUNK: i32 = 64; // so many k of one stream are read before the next stream's turn

/** Adds the bias, applies the epilogue and stores four outputs. */
// @ts-ignore: decorator
@inline
export function finish(out: usize, sum: v128, bias: usize, epilogue: i32): void {
  let y = bias ? f32x4.add(sum, v128.load(bias)) : sum;
  if (epilogue == EPILOGUE_ADD) y = f32x4.add(v128.load(out), y);
  else if (epilogue != EPILOGUE_STORE) y = activate(epilogue, y);
  v128.store(out, y);
}

// @ts-ignore: decorator
@inline
function madd(sum: v128, x: v128, w: v128): v128 {
  return f32x4.add(sum, f32x4.mul(x, w));
}

/** Multiplies `count` numbers of one row by one panel, and adds the products to the sums at `acc`. */
// @ts-ignore: decorator
@inline
function steps1(acc: usize, x: usize, w: usize, count: i32): void {
  let a0 = v128.load(acc);
  let a1 = v128.load(acc, 16);
  let a2 = v128.load(acc, 32);
  let a3 = v128.load(acc, 48);
  for (const end = x + (<usize>count << 2); x < end; x += 4, w += PANEL_BYTES) {
    const va = v128.load32_splat(x);
    let u = v128.load(w);
    a0 = madd(a0, va, u);
    u = v128.load(w, 16);
    a1 = madd(a1, va, u);
    u = v128.load(w, 32);
    a2 = madd(a2, va, u);
    u = v128.load(w, 48);
    a3 = madd(a3, va, u);
  }
  v128.store(acc, a0);
  v128.store(acc, a1, 16);
  v128.store(acc, a2, 32);
  v128.store(acc, a3, 48);
}

/** The same for one row by one panel of each of two streams. Eight independent vectors of sums hide the latency of additions. */
// @ts-ignore: decorator
@inline
function steps1x2(acc: usize, x: usize, w: usize, weightStep: usize, count: i32): void {
  let a0 = v128.load(acc);
  let a1 = v128.load(acc, 16);
  let a2 = v128.load(acc, 32);
  let a3 = v128.load(acc, 48);
  let b0 = v128.load(acc + SUM_BYTES);
  let b1 = v128.load(acc + SUM_BYTES, 16);
  let b2 = v128.load(acc + SUM_BYTES, 32);
  let b3 = v128.load(acc + SUM_BYTES, 48);
  for (const end = x + (<usize>count << 2); x < end; x += 4, w += PANEL_BYTES) {
    const v = v128.load32_splat(x);
    a0 = madd(a0, v, v128.load(w));
    a1 = madd(a1, v, v128.load(w, 16));
    a2 = madd(a2, v, v128.load(w, 32));
    a3 = madd(a3, v, v128.load(w, 48));
    b0 = madd(b0, v, v128.load(w + weightStep));
    b1 = madd(b1, v, v128.load(w + weightStep, 16));
    b2 = madd(b2, v, v128.load(w + weightStep, 32));
    b3 = madd(b3, v, v128.load(w + weightStep, 48));
  }
  v128.store(acc, a0);
  v128.store(acc, a1, 16);
  v128.store(acc, a2, 32);
  v128.store(acc, a3, 48);
  v128.store(acc + SUM_BYTES, b0);
  v128.store(acc + SUM_BYTES, b1, 16);
  v128.store(acc + SUM_BYTES, b2, 32);
  v128.store(acc + SUM_BYTES, b3, 48);
}

/** The same for two rows by one panel. */
// @ts-ignore: decorator
@inline
function steps2(acc: usize, x: usize, xStride: usize, w: usize, count: i32): void {
  let a0 = v128.load(acc);
  let a1 = v128.load(acc, 16);
  let a2 = v128.load(acc, 32);
  let a3 = v128.load(acc, 48);
  let b0 = v128.load(acc, 64);
  let b1 = v128.load(acc, 80);
  let b2 = v128.load(acc, 96);
  let b3 = v128.load(acc, 112);
  for (const end = x + (<usize>count << 2); x < end; x += 4, w += PANEL_BYTES) {
    const va = v128.load32_splat(x);
    const vb = v128.load32_splat(x + xStride);
    let u = v128.load(w);
    a0 = madd(a0, va, u);
    b0 = madd(b0, vb, u);
    u = v128.load(w, 16);
    a1 = madd(a1, va, u);
    b1 = madd(b1, vb, u);
    u = v128.load(w, 32);
    a2 = madd(a2, va, u);
    b2 = madd(b2, vb, u);
    u = v128.load(w, 48);
    a3 = madd(a3, va, u);
    b3 = madd(b3, vb, u);
  }
  v128.store(acc, a0);
  v128.store(acc, a1, 16);
  v128.store(acc, a2, 32);
  v128.store(acc, a3, 48);
  v128.store(acc, b0, 64);
  v128.store(acc, b1, 80);
  v128.store(acc, b2, 96);
  v128.store(acc, b3, 112);
}

/** The same for three rows by one panel. More than twelve vectors of sums would not stay in registers. */
// @ts-ignore: decorator
@inline
function steps3(acc: usize, x: usize, xStride: usize, w: usize, count: i32): void {
  let a0 = v128.load(acc);
  let a1 = v128.load(acc, 16);
  let a2 = v128.load(acc, 32);
  let a3 = v128.load(acc, 48);
  let b0 = v128.load(acc, 64);
  let b1 = v128.load(acc, 80);
  let b2 = v128.load(acc, 96);
  let b3 = v128.load(acc, 112);
  let c0 = v128.load(acc, 128);
  let c1 = v128.load(acc, 144);
  let c2 = v128.load(acc, 160);
  let c3 = v128.load(acc, 176);
  const x2 = xStride * 2;
  for (const end = x + (<usize>count << 2); x < end; x += 4, w += PANEL_BYTES) {
    const va = v128.load32_splat(x);
    const vb = v128.load32_splat(x + xStride);
    const vc = v128.load32_splat(x + x2);
    let u = v128.load(w);
    a0 = madd(a0, va, u);
    b0 = madd(b0, vb, u);
    c0 = madd(c0, vc, u);
    u = v128.load(w, 16);
    a1 = madd(a1, va, u);
    b1 = madd(b1, vb, u);
    c1 = madd(c1, vc, u);
    u = v128.load(w, 32);
    a2 = madd(a2, va, u);
    b2 = madd(b2, vb, u);
    c2 = madd(c2, vc, u);
    u = v128.load(w, 48);
    a3 = madd(a3, va, u);
    b3 = madd(b3, vb, u);
    c3 = madd(c3, vc, u);
  }
  v128.store(acc, a0);
  v128.store(acc, a1, 16);
  v128.store(acc, a2, 32);
  v128.store(acc, a3, 48);
  v128.store(acc, b0, 64);
  v128.store(acc, b1, 80);
  v128.store(acc, b2, 96);
  v128.store(acc, b3, 112);
  v128.store(acc, c0, 128);
  v128.store(acc, c1, 144);
  v128.store(acc, c2, 160);
  v128.store(acc, c3, 176);
}

/**
 * A tile of `rows` rows (1 to `TILE_ROWS`) by one panel of each of `streams` streams. The streams begin `weightStep` bytes apart,
 * and their outputs `outStep` bytes apart. `sums` has room for `SUM_BYTES` of each stream.
 */
function tile(
  out: usize,
  outStride: usize,
  x: usize,
  xStride: usize,
  w: usize,
  bias: usize,
  inWidth: i32,
  epilogue: i32,
  rows: i32,
  streams: i32,
  weightStep: usize,
  outStep: usize,
  sums: usize,
): void {
  const end = sums + <usize>streams * SUM_BYTES;
  for (let acc = sums; acc < end; acc += 16) v128.store(acc, f32x4.splat(0));
  for (let k = 0; k < inWidth; k += CHUNK) {
    const count = min(CHUNK, inWidth - k);
    let panel = w;
    let acc = sums;
    if (rows == 1) {
      for (; acc + SUM_BYTES < end; acc += 2 * SUM_BYTES, panel += 2 * weightStep) {
        steps1x2(acc, x, panel, weightStep, count);
      }
    }
    for (; acc < end; acc += SUM_BYTES, panel += weightStep) {
      if (rows == 1) steps1(acc, x, panel, count);
      else if (rows == 2) steps2(acc, x, xStride, panel, count);
      else steps3(acc, x, xStride, panel, count);
    }
    w += CHUNK * PANEL_BYTES;
    x += CHUNK << 2;
  }
  for (let acc = sums; acc < end; acc += SUM_BYTES, out += outStep) {
    for (let row = 0; row < rows; row++) {
      const y = out + <usize>row * outStride;
      const sum = acc + <usize>row * PANEL_BYTES;
      for (let at: usize = 0; at < PANEL_BYTES; at += 16) {
        finish(y + at, v128.load(sum + at), bias ? bias + at : 0, epilogue);
      }
    }
    if (bias) bias += outStep;
  }
}

/** Panels `first` to `last` (exclusive) of y[rows, N] from x[rows, K]. If `bias` is 0 there is none. */
export function matmul(a: MatmulInstruction, part: i32, first: i32, last: i32): void {
  const inWidth = a.inWidth;
  const bias = a.bias;
  const xStride = rowBytes(inWidth);
  const outStride = rowBytes(a.outWidth);
  const panelBytes = <usize>inWidth * PANEL_BYTES;
  const sums = a.scratch + <usize>part * a.scratchBytes;
  const run = (last - first) / STREAMS;
  for (let panel = first; panel < last; ) {
    // The panels are cut into `STREAMS` runs of equal length. Those that are left over are one more stream.
    const isRun = panel < first + run;
    const streams = isRun ? STREAMS : 1;
    const at = <usize>panel * PANEL_BYTES;
    const w = a.weight + <usize>panel * panelBytes;
    const b = bias ? bias + at : 0;
    let y = a.out + at;
    let x = a.x;
    for (let left = a.rows; left > 0; ) {
      const count = left == 4 ? 2 : min(left, TILE_ROWS); // 4 rows are two pairs
      tile(
        y, outStride, x, xStride, w, b, inWidth, a.epilogue,
        count, streams, <usize>run * panelBytes, <usize>run * PANEL_BYTES, sums,
      );
      y += outStride * count;
      x += xStride * count;
      left -= count;
    }
    panel += 1;
    if (isRun && panel == first + run) panel = first + run * STREAMS;
  }
}
