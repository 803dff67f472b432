// Kernels that work row by row: embedding, layer norm, gathering rows and copying pages.
import { sum16 } from "./math";
import { STREAMS } from "./matmul";

// @ts-ignore: decorator
@inline
function strideBytes(width: i32): usize {
  return <usize>((width + 15) & ~15) << 2;
}

/** x[r] = wte[token[r]] + wpe[position[r]]; wte lies in panels of 16 tokens, as the output head reads it. */
export function embed(
  out: usize,
  tokens: usize,
  positions: usize,
  wte: usize,
  wpe: usize,
  width: i32,
  first: i32,
  last: i32,
): void {
  const stride = strideBytes(width);
  for (let row = first; row < last; row++) {
    const token = load<i32>(tokens + (<usize>row << 2));
    const position = load<i32>(positions + (<usize>row << 2));
    const column = wte + <usize>(token >> 4) * (<usize>width << 6) + (<usize>(token & 15) << 2);
    const add = wpe + <usize>position * stride;
    const x = out + <usize>row * stride;
    for (let i: usize = 0; i < <usize>width; i++) {
      store<f32>(x + (i << 2), load<f32>(column + (i << 6)) + load<f32>(add + (i << 2)));
    }
  }
}

/** Layer norm with the biased variance; sums are 16 partial sums (index mod 16) in one fixed tree. */
export function layerNorm(
  out: usize,
  x: usize,
  weight: usize,
  bias: usize,
  width: i32,
  epsilon: f32,
  scratch: usize,
  first: i32,
  last: i32,
): void {
  const stride = strideBytes(width);
  for (let row = first; row < last; row++) {
    const at = <usize>row * stride;
    const mean = sumRow(x + at, width, 0, false, scratch) / <f32>width;
    const variance = sumRow(x + at, width, mean, true, scratch) / <f32>width;
    const scale: f32 = <f32>1 / sqrt<f32>(variance + epsilon);
    const m = f32x4.splat(mean);
    const s = f32x4.splat(scale);
    for (let i: usize = 0; i < stride; i += 16) {
      const centred = f32x4.sub(v128.load(x + at + i), m);
      const y = f32x4.mul(f32x4.mul(centred, s), v128.load(weight + i));
      v128.store(out + at + i, f32x4.add(y, v128.load(bias + i)));
    }
  }
}

/** Σ x or, with `squared`, Σ (x − mean)², over one row. */
function sumRow(x: usize, width: i32, mean: f32, squared: bool, scratch: usize): f32 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const m = f32x4.splat(mean);
  const whole = x + (<usize>(width & ~15) << 2);
  const end = x + (<usize>width << 2);
  for (; x < whole; x += 64) {
    a = f32x4.add(a, term(v128.load(x), m, squared));
    b = f32x4.add(b, term(v128.load(x, 16), m, squared));
    c = f32x4.add(c, term(v128.load(x, 32), m, squared));
    d = f32x4.add(d, term(v128.load(x, 48), m, squared));
  }
  if (x < end) {
    // The last, incomplete group goes to its partial sums one by one.
    v128.store(scratch, a);
    v128.store(scratch, b, 16);
    v128.store(scratch, c, 32);
    v128.store(scratch, d, 48);
    for (let lane = scratch; x < end; x += 4, lane += 4) {
      const v = load<f32>(x) - mean;
      store<f32>(lane, load<f32>(lane) + (squared ? v * v : load<f32>(x)));
    }
    a = v128.load(scratch);
    b = v128.load(scratch, 16);
    c = v128.load(scratch, 32);
    d = v128.load(scratch, 48);
  }
  return sum16(a, b, c, d);
}

// @ts-ignore: decorator
@inline
function term(x: v128, mean: v128, squared: bool): v128 {
  if (!squared) return x;
  const centred = f32x4.sub(x, mean);
  return f32x4.mul(centred, centred);
}

/** out[r] = x[indices[r]] */
export function gatherRows(out: usize, x: usize, indices: usize, width: i32, first: i32, last: i32): void {
  const stride = strideBytes(width);
  for (let row = first; row < last; row++) {
    const from = <usize>load<i32>(indices + (<usize>row << 2));
    memory.copy(out + <usize>row * stride, x + from * stride, stride);
  }
}

/** Copies whole pages; `pairs` is a list of (from, to) page numbers. */
export function copyPages(pairs: usize, pages: usize, pageBytes: usize, first: i32, last: i32): void {
  for (let i = first; i < last; i++) {
    const pair = pairs + (<usize>i << 3);
    memory.copy(pages + <usize>load<i32>(pair, 4) * pageBytes, pages + <usize>load<i32>(pair) * pageBytes, pageBytes);
  }
}

/**
 * Reads lines of 64 bytes, in as many streams as a matmul does. Their combination is stored at the end, or the compiler
 * would leave the loop out.
 */
export function readMemory(address: usize, result: usize, first: i32, last: i32): void {
  let a = i32x4.splat(0);
  let b = a;
  const run = <usize>((last - first) / STREAMS) << 6;
  const start = address + (<usize>first << 6);
  for (let line = start; line < start + run; line += 64) {
    for (let p = line; p < line + run * STREAMS; p += run) {
      a = v128.xor(a, v128.xor(v128.load(p), v128.load(p, 16)));
      b = v128.xor(b, v128.xor(v128.load(p, 32), v128.load(p, 48)));
    }
  }
  store<i32>(result, i32x4.extract_lane(v128.xor(a, b), 0));
}
