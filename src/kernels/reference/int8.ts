// The 8-bit kernels in plain TypeScript: the definition of their bits. The sum of a group is an exact integer, which is rounded
// once to f32. An output has one f32 accumulator, to which its groups are added in ascending order.

import type { Arguments } from "../instruction.ts";
import { type LinearMemory, rowStride } from "../memory.ts";
import { ACTIVATION_MAX, BLOCK, BLOCK_BYTES, BLOCK_SCALES, GROUP, ROTATED_MAX } from "../numbers.ts";
import { blockByte } from "../program.ts";
import { fromHalf } from "./half.ts";
import { epilogueOf } from "./math.ts";
import { rotate } from "./rotation.ts";

const f = Math.fround;

/** Rounds to nearest, ties to even, as f32x4.nearest does. */
export function nearest(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return rest < 0.5 ? floor : floor + 1;
}

/** Quantises one group to integers up to `max`, and returns its scale. If 1 / scale is too large for f32, all integers are 0. */
function quantizeGroup(values: Float32Array, max: number, set: (i: number, value: number) => void): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  const quotient = f(max / largest);
  const inverse = quotient < Number.POSITIVE_INFINITY ? quotient : 0;
  for (let i = 0; i < GROUP; i++) set(i, nearest(f((values[i] as number) * inverse)));
  return largest / max;
}

/** Stores integers of both kinds as words. Other builds may use another layout: only their matmul reads it. */
function quantizeRows(
  { f32, wasm }: LinearMemory,
  a: Arguments<"quantize">,
  max: number,
  prepare: (values: Float32Array) => void,
): void {
  const words = new Int16Array(wasm.buffer);
  const groups = a.items;
  for (let row = 0; row < a.rows; row++) {
    for (let group = 0; group < groups; group++) {
      const from = a.x + row * rowStride(a.width) + group * GROUP;
      const values = new Float32Array(GROUP);
      values.set(f32.subarray(from, from + Math.min(GROUP, a.width - group * GROUP)));
      prepare(values);
      const to = a.values * 2 + (row * groups + group) * GROUP;
      const scale = quantizeGroup(values, max, (i, value) => {
        words[to + i] = value;
      });
      f32[a.scales + row * groups + group] = scale;
    }
  }
}

export function quantize(memory: LinearMemory, a: Arguments<"quantize">): void {
  quantizeRows(memory, a, ACTIVATION_MAX, () => {});
}

export function quantizeRotated(memory: LinearMemory, a: Arguments<"quantizeRotated">): void {
  quantizeRows(memory, a, ROTATED_MAX, rotate);
}

/** The product of both kinds. They need only one definition, because the sum of a group is an exact integer. */
export function matmulInt8({ f32, wasm }: LinearMemory, a: Arguments<"matmulInt8">): void {
  const activations = new Int16Array(wasm.buffer);
  const weights = new Int8Array(wasm.buffer);
  const groups = Math.ceil(a.inWidth / GROUP);
  const finish = epilogueOf(a.epilogue);
  for (let row = 0; row < a.rows; row++) {
    for (let n = 0; n < Math.ceil(a.outWidth / BLOCK) * BLOCK; n++) {
      const lane = n % BLOCK;
      let sum = 0;
      for (let group = 0; group < groups; group++) {
        const block = a.weight * 4 + (Math.floor(n / BLOCK) * groups + group) * BLOCK_BYTES;
        const x = a.x * 2 + (row * groups + group) * GROUP;
        let isum = 0;
        for (let i = 0; i < GROUP; i++) {
          isum += (weights[block + blockByte(i, lane)] as number) * (activations[x + i] as number);
        }
        const weightScale = f32[(block + BLOCK_SCALES) / 4 + lane] as number;
        const xScale = f32[a.xScales + row * groups + group] as number;
        sum = f(sum + f(f(isum) * f(weightScale * xScale)));
      }
      if (a.bias) sum = f(sum + (f32[a.bias + n] as number));
      const y = a.out + row * rowStride(a.outWidth) + n;
      f32[y] = finish(sum, f32[y] as number);
    }
  }
}

export function embedHalf({ f32, i32, wasm }: LinearMemory, a: Arguments<"embedHalf">): void {
  const halves = new Uint16Array(wasm.buffer);
  const stride = rowStride(a.width);
  for (let row = 0; row < a.items; row++) {
    const token = i32[a.tokens + row] as number;
    const position = i32[a.positions + row] as number;
    for (let i = 0; i < a.width; i++) {
      const embedding = fromHalf(halves[a.wte * 2 + token * a.width + i] as number);
      f32[a.out + row * stride + i] = embedding + (f32[a.wpe + position * stride + i] as number);
    }
  }
}
