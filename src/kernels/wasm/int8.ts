// y = x·W + b with 8-bit weights and 14-bit activations. A group is 64 numbers along k that share a scale. The sum of a group
// is an exact integer. An output has one f32 accumulator, to which its groups are added in ascending order:
//   acc = acc + f32(isum) · (weight scale · activation scale)
// So the bits depend neither on tiling nor on the width of vectors. Weights lie in blocks of 16 outputs by one group,
// [N/16][K/64]. A block is the weights, [16 quads of k][16 outputs][4 k], and then the scales of the 16 outputs. With this order
// the lanes of a vector are outputs, whatever its width. As in `matmul.ts`, a thread reads several streams of blocks in turn.
import { widen } from "./half";
import * as halves from "./int8-halves";
import { GROUP_BYTES, ROW_SUMS } from "./int8-sums";
import * as words from "./int8-words";
import { finish } from "./matmul";
import {
  ACTIVATION_MAX, BLOCK_BYTES, EmbedHalfInstruction, GROUP, LINE_BYTES, MatmulInt8Instruction, QuantizeInstruction,
  QuantizeRotatedInstruction, ROTATED_MAX, STREAMS, TILE_ROWS,
} from "./numbers.generated";
import { rotateGroup } from "./rotation";
import { countGroups, rowBytes } from "./shapes";

const SUM_BYTES: usize = TILE_ROWS * ROW_SUMS; // sums of a tile of rows by one block
const LARGEST: f32 = <f32>ACTIVATION_MAX;
const LARGEST_ROTATED: f32 = <f32>ROTATED_MAX;

/** Items are groups. x[rows, K] becomes values[rows, K'] and scales[rows, K'/64]. K' is K padded with zeros to whole groups. */
export function quantize(a: QuantizeInstruction, first: i32, last: i32): void {
  quantizeRows(a.x, a.values, a.scales, a.rows, a.width, first, last, 0, LARGEST);
}

/** The same, but rotates every group first and rounds to 8 bits. The results have the layout of 14-bit ones. */
export function quantizeRotated(a: QuantizeRotatedInstruction, part: i32, first: i32, last: i32): void {
  const rotated = a.scratch + <usize>part * a.scratchBytes;
  quantizeRows(a.x, a.values, a.scales, a.rows, a.width, first, last, rotated, LARGEST_ROTATED);
}

/** Quantises groups `first` to `last` of all rows to integers up to `limit`. `rotated`: room for a rotated group; 0: no rotation. */
// @ts-ignore: decorator
@inline
function quantizeRows(
  x: usize, values: usize, scales: usize, rows: i32, width: i32, first: i32, last: i32, rotated: usize, limit: f32,
): void {
  const groups = <usize>countGroups(width);
  const stride = rowBytes(width);
  for (let row: usize = 0; row < <usize>rows; row++) {
    for (let group = <usize>first; group < <usize>last; group++) {
      const at = group * GROUP;
      let from = x + row * stride + (at << 2);
      let count = min(GROUP, width - <i32>at);
      if (rotated) {
        const bytes = <usize>count << 2;
        memory.copy(rotated, from, bytes);
        memory.fill(rotated + bytes, 0, 4 * GROUP - bytes);
        rotateGroup(rotated);
        from = rotated;
        count = GROUP;
      }
      const number = row * groups + group;
      store<f32>(scales + (number << 2), quantizeGroup(values + number * GROUP_BYTES, from, count, limit));
    }
  }
}

/** Quantises one group of `count` numbers to integers up to `limit`, zeros behind them, and returns its scale. */
// @ts-ignore: decorator
@inline
function quantizeGroup(q: usize, x: usize, count: i32, limit: f32): f32 {
  let largest: f32 = 0;
  let i = 0;
  if (count == GROUP) {
    let m = f32x4.splat(0);
    for (; i < GROUP; i += 4) m = f32x4.max(m, f32x4.abs(v128.load(x + (<usize>i << 2))));
    largest = max(
      max(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)),
      max(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)),
    );
  } else {
    for (let k = 0; k < count; k++) largest = max(largest, abs(load<f32>(x + (<usize>k << 2))));
  }
  const quotient: f32 = limit / largest;
  const inverse: f32 = quotient < Infinity ? quotient : 0;
  if (count == GROUP) {
    const v = f32x4.splat(inverse);
    for (i = 0; i < GROUP; i += 8) {
      const low = f32x4.nearest(f32x4.mul(v128.load(x + (<usize>i << 2)), v));
      const high = f32x4.nearest(f32x4.mul(v128.load(x + (<usize>i << 2), 16), v));
      const eight = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(low), i32x4.trunc_sat_f32x4_s(high));
      if (ASC_FEATURE_RELAXED_SIMD) halves.storeActivations(q, i, eight);
      else words.storeActivations(q, i, eight);
    }
  } else {
    for (; i < GROUP; i++) {
      const value = i < count ? <i32>nearest<f32>(load<f32>(x + (<usize>i << 2)) * inverse) : 0;
      if (ASC_FEATURE_RELAXED_SIMD) halves.storeActivation(q, i, value);
      else words.storeActivation(q, i, value);
    }
  }
  return largest / limit;
}

/**
 * Prefetches two cache lines of each of `STREAMS` blocks, `step` bytes apart, and returns the address of the next two lines.
 * WebAssembly has no prefetch instruction, so this loads values and drops them. No instruction waits for them.
 */
// @ts-ignore: decorator
@inline
function prefetch(next: usize, step: usize): usize {
  for (let i = 0, line = next; i < STREAMS; i++, line += step) {
    load<i32>(line);
    load<i32>(line, LINE_BYTES);
  }
  return next + 2 * LINE_BYTES;
}

/**
 * A tile of `rows` rows (1 to `TILE_ROWS`) by one column of blocks of each of `streams` streams. The streams begin `weightStep`
 * bytes apart, and their outputs `outStep` bytes apart. `sums` has room for `SUM_BYTES` of each stream. `isCold`: this is the
 * first tile, so the weights are not in the cache yet. Then it prefetches a part of the streams' next blocks with every block.
 */
function tile(
  out: usize,
  outStride: usize,
  q: usize,
  qStride: usize,
  scale: usize,
  scaleStride: usize,
  w: usize,
  bias: usize,
  groups: i32,
  epilogue: i32,
  rows: i32,
  streams: i32,
  weightStep: usize,
  outStep: usize,
  sums: usize,
  isCold: bool,
): void {
  const end = sums + <usize>streams * SUM_BYTES;
  for (let acc = sums; acc < end; acc += 16) v128.store(acc, f32x4.splat(0));
  // With a single stream these lines are nearly all of its own next block.
  const prefetchStep: usize = streams > 1 ? weightStep : 2 * LINE_BYTES;
  for (let group = 0; group < groups; group++) {
    let block = w;
    let next = group + 1 < groups ? w + BLOCK_BYTES : w;
    for (let acc = sums; acc < end; acc += SUM_BYTES, block += weightStep) {
      if (isCold) next = prefetch(next, prefetchStep);
      if (ASC_FEATURE_RELAXED_SIMD) {
        if (rows == 1) halves.group1(acc, q, scale, block);
        else if (rows == 2) halves.groups(acc, q, qStride, scale, scaleStride, block, 2);
        else halves.groups(acc, q, qStride, scale, scaleStride, block, 3);
      } else {
        if (rows == 1) words.group1(acc, q, scale, block);
        else if (rows == 2) words.groups(acc, q, qStride, scale, scaleStride, block, 2);
        else words.groups(acc, q, qStride, scale, scaleStride, block, 3);
      }
    }
    w += BLOCK_BYTES;
    q += GROUP_BYTES;
    scale += 4;
  }
  for (let acc = sums; acc < end; acc += SUM_BYTES, out += outStep) {
    for (let row: usize = 0; row < <usize>rows; row++) {
      for (let at: usize = 0; at < ROW_SUMS; at += 16) {
        const sum = v128.load(acc + row * ROW_SUMS + at);
        finish(out + row * outStride + at, sum, bias ? bias + at : 0, epilogue);
      }
    }
    if (bias) bias += outStep;
  }
}

/** Blocks of outputs `first` to `last` of y[rows, N] from x[rows, K'] and its scales. If `bias` is 0 there is none. */
export function matmulInt8(a: MatmulInt8Instruction, part: i32, first: i32, last: i32): void {
  const bias = a.bias;
  const groups = countGroups(a.inWidth);
  const blockBytes = <usize>groups * BLOCK_BYTES;
  const xStride = <usize>groups * GROUP_BYTES;
  const scaleStride = <usize>groups << 2;
  const outStride = rowBytes(a.outWidth);
  const sums = a.scratch + <usize>part * a.scratchBytes;
  const run = (last - first) / STREAMS;
  for (let block = first; block < last; ) {
    // The blocks are cut into `STREAMS` runs of equal length. Those that are left over are one more stream.
    const isRun = block < first + run;
    const streams = isRun ? STREAMS : 1;
    const w = a.weight + <usize>block * blockBytes;
    const at = <usize>block * ROW_SUMS;
    const b = bias ? bias + at : 0;
    let y = a.out + at;
    let x = a.x;
    let scales = a.xScales;
    const rows = a.rows;
    for (let left = rows; left > 0; ) {
      const count = left == 4 ? 2 : min(left, TILE_ROWS); // 4 rows are two pairs
      tile(
        y, outStride, x, xStride, scales, scaleStride, w, b, groups, a.epilogue,
        count, streams, <usize>run * blockBytes, <usize>run * ROW_SUMS, sums, left == rows,
      );
      y += outStride * count;
      x += xStride * count;
      scales += scaleStride * count;
      left -= count;
    }
    block += 1;
    if (isRun && block == first + run) block = first + run * STREAMS;
  }
}

/** out[r] = wte[token[r]] + wpe[position[r]]; wte in half precision, [V, C]. */
export function embedHalf(a: EmbedHalfInstruction, first: i32, last: i32): void {
  const width = <usize>a.width;
  const stride = rowBytes(a.width);
  for (let row = <usize>first; row < <usize>last; row++) {
    const token = a.wte + <usize>load<i32>(a.tokens + (row << 2)) * (width << 1);
    const position = a.wpe + <usize>load<i32>(a.positions + (row << 2)) * stride;
    const out = a.out + row * stride;
    for (let i: usize = 0; i < width; i++) {
      const value = f32x4.extract_lane(widen(i32x4.splat(load<u16>(token + (i << 1)))), 0);
      store<f32>(out + (i << 2), value + load<f32>(position + (i << 2)));
    }
  }
}
