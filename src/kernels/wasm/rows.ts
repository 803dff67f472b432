// The small kernels: embedding, layer norm, gathering rows, copying pages, and reading memory to measure its speed.
import { sum16 } from "./math";
import {
  CopyPagesInstruction, EmbedInstruction, GatherRowsInstruction, LayerNormInstruction, LINE_BYTES, PANEL,
  ReadMemoryInstruction, STREAMS,
} from "./numbers.generated";
import { PANEL_BYTES, rowBytes } from "./shapes";

/** out[r] = wte[token[r]] + wpe[position[r]]. wte is the packed output head: panels of 16 tokens. */
export function embed(a: EmbedInstruction, first: i32, last: i32): void {
  const width = <usize>a.width;
  const stride = rowBytes(a.width);
  for (let row = <usize>first; row < <usize>last; row++) {
    const token = load<u32>(a.tokens + (row << 2));
    const column = a.wte + <usize>(token / PANEL) * width * PANEL_BYTES + (<usize>(token % PANEL) << 2);
    const position = a.wpe + <usize>load<i32>(a.positions + (row << 2)) * stride;
    const out = a.out + row * stride;
    for (let i: usize = 0; i < width; i++) {
      store<f32>(out + (i << 2), load<f32>(column + i * PANEL_BYTES) + load<f32>(position + (i << 2)));
    }
  }
}

/** Layer norm with the biased variance. A sum is 16 partial sums by index mod 16, added in one fixed tree. */
export function layerNorm(a: LayerNormInstruction, part: i32, first: i32, last: i32): void {
  const width = a.width;
  const weight = a.weight;
  const bias = a.bias;
  const stride = rowBytes(width);
  const scratch = a.scratch + <usize>part * a.scratchBytes;
  for (let row = <usize>first; row < <usize>last; row++) {
    const x = a.x + row * stride;
    const out = a.out + row * stride;
    const mean = sumRow(x, width, 0, false, scratch) / <f32>width;
    const variance = sumRow(x, width, mean, true, scratch) / <f32>width;
    const scale: f32 = <f32>1 / sqrt<f32>(variance + a.epsilon);
    const m = f32x4.splat(mean);
    const s = f32x4.splat(scale);
    for (let i: usize = 0; i < stride; i += 16) {
      const centred = f32x4.sub(v128.load(x + i), m);
      const y = f32x4.mul(f32x4.mul(centred, s), v128.load(weight + i));
      v128.store(out + i, f32x4.add(y, v128.load(bias + i)));
    }
  }
}

/** Σ x over one row; Σ (x − mean)² if `squared`. */
function sumRow(x: usize, width: i32, mean: f32, squared: bool, scratch: usize): f32 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const m = f32x4.splat(mean);
  const end = x + (<usize>width << 2);
  for (; x + 64 <= end; x += 64) {
    a = f32x4.add(a, term(v128.load(x), m, squared));
    b = f32x4.add(b, term(v128.load(x, 16), m, squared));
    c = f32x4.add(c, term(v128.load(x, 32), m, squared));
    d = f32x4.add(d, term(v128.load(x, 48), m, squared));
  }
  if (x < end) {
    // The numbers after the last whole 16 are added to their partial sums one by one.
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
export function gatherRows(a: GatherRowsInstruction, first: i32, last: i32): void {
  const stride = rowBytes(a.width);
  for (let row = <usize>first; row < <usize>last; row++) {
    const from = <usize>load<i32>(a.indices + (row << 2));
    memory.copy(a.out + row * stride, a.x + from * stride, stride);
  }
}

/** Copies whole pages; `pairs` is a list of (from, to) page numbers. */
export function copyPages(a: CopyPagesInstruction, first: i32, last: i32): void {
  const bytes = <usize>a.pageBytes;
  for (let pair = a.pairs + (<usize>first << 3); pair < a.pairs + (<usize>last << 3); pair += 8) {
    memory.copy(a.pages + <usize>load<i32>(pair, 4) * bytes, a.pages + <usize>load<i32>(pair) * bytes, bytes);
  }
}

/**
 * Items are cache lines. They are read in as many streams as a matmul reads. The result is of no use, but without one the
 * compiler would remove the loop.
 */
export function readMemory(a: ReadMemoryInstruction, part: i32, first: i32, last: i32): void {
  let even = i32x4.splat(0);
  let odd = even;
  const run = <usize>((last - first) / STREAMS) * LINE_BYTES;
  const start = a.start + <usize>first * LINE_BYTES;
  for (let line = start; line < start + run; line += LINE_BYTES) {
    for (let p = line; p < line + run * STREAMS; p += run) {
      even = v128.xor(even, v128.xor(v128.load(p), v128.load(p, 16)));
      odd = v128.xor(odd, v128.xor(v128.load(p, 32), v128.load(p, 48)));
    }
  }
  store<i32>(a.scratch + <usize>part * a.scratchBytes, i32x4.extract_lane(v128.xor(even, odd), 0));
}
