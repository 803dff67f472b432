// The 8-bit kernels in plain TypeScript: the definition of their bits. A group's sum is an exact integer, rounded once
// to f32; groups are added in ascending order to one f32 accumulator.

import { type LinearMemory, rowStride } from "../memory.ts";
import { ACTIVATION_MAX, BLOCK, BLOCK_BYTES, blockByte, GROUP } from "../program.ts";
import { fromHalf } from "./half.ts";
import type { Instruction } from "./instruction.ts";
import { epilogueOf } from "./math.ts";

const f = Math.fround;

/** Round half to even, as f32x4.nearest does. */
function nearest(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return rest < 0.5 ? floor : floor + 1;
}

export function quantize({ f32, wasm }: LinearMemory, a: Instruction): void {
  const values = new Int16Array(wasm.buffer);
  const [q, scales, x] = [a.address(0) * 2, a.address(1), a.address(2)] as [number, number, number];
  const [width, rows, groups] = [a.int(3), a.int(4), a.items];
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const at = (i: number): number => {
        const k = group * GROUP + i;
        return k < width ? (f32[x + row * rowStride(width) + k] as number) : 0;
      };
      let largest = 0;
      for (let i = 0; i < GROUP; i++) largest = Math.max(largest, Math.abs(at(i)));
      const inverse = largest > 0 ? f(ACTIVATION_MAX / largest) : 0;
      for (let i = 0; i < GROUP; i++)
        values[q + (row * groups + group) * GROUP + i] = nearest(f(at(i) * inverse));
      f32[scales + row * groups + group] = largest / ACTIVATION_MAX;
    }
  }
}

export function matmulInt8({ f32, wasm }: LinearMemory, a: Instruction): void {
  const [out, q, scales, weight, bias] = [0, 1, 2, 3, 4].map(a.address) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const [rows, inWidth, outWidth, epilogue] = [5, 6, 7, 8].map(a.int) as [number, number, number, number];
  const [activations, weights] = [new Int16Array(wasm.buffer), new Int8Array(wasm.buffer)];
  const groups = Math.ceil(inWidth / GROUP);
  const finish = epilogueOf(epilogue);
  for (let row = 0; row < rows; row++) {
    for (let n = 0; n < Math.ceil(outWidth / BLOCK) * BLOCK; n++) {
      let sum = 0;
      for (let group = 0; group < groups; group++) {
        const block = weight * 4 + (Math.floor(n / BLOCK) * groups + group) * BLOCK_BYTES;
        const lane = n % BLOCK;
        let isum = 0;
        for (let i = 0; i < GROUP; i++) {
          const w = weights[block + blockByte(i, lane)] as number;
          isum += w * (activations[q * 2 + (row * groups + group) * GROUP + i] as number);
        }
        const weightScale = f32[(block + BLOCK * GROUP) / 4 + lane] as number;
        sum = f(sum + f(f(isum) * f(weightScale * (f32[scales + row * groups + group] as number))));
      }
      if (bias) sum = f(sum + (f32[bias + n] as number));
      const y = out + row * rowStride(outWidth) + n;
      f32[y] = finish(sum, f32[y] as number);
    }
  }
}

export function embedHalf({ f32, i32, wasm }: LinearMemory, a: Instruction): void {
  const [out, tokens, positions, wte, wpe] = [0, 1, 2, 3, 4].map(a.address) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const halves = new Uint16Array(wasm.buffer);
  const width = a.int(5);
  const stride = rowStride(width);
  for (let row = 0; row < a.items; row++) {
    const token = i32[tokens + row] as number;
    const position = i32[positions + row] as number;
    for (let i = 0; i < width; i++) {
      const embedding = fromHalf(halves[wte * 2 + token * width + i] as number);
      f32[out + row * stride + i] = embedding + (f32[wpe + position * stride + i] as number);
    }
  }
}
