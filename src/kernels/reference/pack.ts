// The kernels that pack weights, in plain TypeScript: the definition of their bits. f32 weights go into panels of 16 outputs,
// [N/16][K][16]. 8-bit weights go into blocks of 16 outputs by a group of 64 along k, [N/16][K/64]. A block is the weights,
// [16 quads of k][16 outputs][4 k], and then the 16 scales. Padding beyond the edges of a matrix is not written: fresh memory is 0.

import type { Arguments } from "../instruction.ts";
import type { LinearMemory } from "../memory.ts";
import {
  BLOCK,
  BLOCK_BYTES,
  BLOCK_SCALES,
  CONVERTED,
  DIGEST_BYTES,
  DIGESTED_BYTES,
  GROUP,
  HALF_MAX,
  PANEL,
  WEIGHT_MAX,
} from "../numbers.ts";
import { blockByte } from "../program.ts";
import { fromHalf, toHalf } from "./half.ts";
import { rotate } from "./rotation.ts";

/** The index in `f32` of element (k, n) of a piece. */
type Place = (k: number, n: number) => number;

/** The rows along k and the outputs of a matrix that a piece has. */
interface Region {
  readonly inWidth: number;
  readonly k: readonly [begin: number, end: number];
  readonly n: readonly [begin: number, end: number];
}

function packPanels({ f32 }: LinearMemory, weight: number, { inWidth, k, n }: Region, at: Place): void {
  for (let output = n[0]; output < n[1]; output++) {
    const panel = weight + Math.floor(output / PANEL) * PANEL * inWidth + (output % PANEL);
    for (let i = k[0]; i < k[1]; i++) f32[panel + i * PANEL] = f32[at(i, output)] as number;
  }
}

/** The scale of a group of 64 is its largest magnitude / `WEIGHT_MAX`. Weights are rounded as Math.round does. */
function packBlocks(
  memory: LinearMemory,
  weight: number,
  { inWidth, k, n }: Region,
  at: Place,
  isRotated: boolean,
): void {
  const { f32 } = memory;
  const bytes = new Int8Array(memory.wasm.buffer);
  const groups = Math.ceil(inWidth / GROUP);
  for (let output = n[0]; output < n[1]; output++) {
    const lane = output % BLOCK;
    for (let first = k[0]; first < k[1]; first += GROUP) {
      const block = weight * 4 + (Math.floor(output / BLOCK) * groups + first / GROUP) * BLOCK_BYTES;
      const count = Math.min(GROUP, k[1] - first);
      const values = Float32Array.from({ length: GROUP }, (_, i) =>
        i < count ? (f32[at(first + i, output)] as number) : 0,
      );
      if (isRotated) rotate(values);
      let largest = 0;
      for (const value of values) if (Math.abs(value) > largest) largest = Math.abs(value);
      const inverse = largest > 0 ? WEIGHT_MAX / largest : 0;
      for (let i = 0; i < (isRotated ? GROUP : count); i++) {
        bytes[block + blockByte(i, lane)] = Math.round((values[i] as number) * inverse);
      }
      f32[(block + BLOCK_SCALES) / 4 + lane] = largest / WEIGHT_MAX;
    }
  }
}

type Pack = (memory: LinearMemory, weight: number, region: Region, at: Place) => void;

/** `packBlocks`, with or without rotation, as the instruction says. */
function blocks({ isRotated }: { readonly isRotated: number }): Pack {
  return (memory, weight, region, at) => packBlocks(memory, weight, region, at, isRotated === 1);
}

/** x[count, outWidth]: the rows from `begin` on of a matrix stored [in, out]. */
function packStoredInOut(
  pack: Pack,
  memory: LinearMemory,
  a: Arguments<"packInOut"> | Arguments<"packInOutInt8">,
): void {
  const { weight, x, inWidth, outWidth, begin, count } = a;
  const region: Region = { inWidth, k: [begin, begin + count], n: [0, outWidth] };
  pack(memory, weight, region, (k, n) => x + (k - begin) * outWidth + n);
}

/** x[count, inWidth]: the outputs from `begin` on of a matrix stored [out, in]. */
function packStoredOutIn(
  pack: Pack,
  memory: LinearMemory,
  { weight, x, inWidth, begin }: Arguments<"packOutIn"> | Arguments<"packOutInInt8">,
  count: number,
): void {
  const region: Region = { inWidth, k: [0, inWidth], n: [begin, begin + count] };
  pack(memory, weight, region, (k, n) => x + (n - begin) * inWidth + k);
}

export function packInOut(memory: LinearMemory, a: Arguments<"packInOut">): void {
  packStoredInOut(packPanels, memory, a);
}

export function packInOutInt8(memory: LinearMemory, a: Arguments<"packInOutInt8">): void {
  packStoredInOut(blocks(a), memory, a);
}

export function packOutIn(memory: LinearMemory, a: Arguments<"packOutIn">): void {
  packStoredOutIn(packPanels, memory, a, a.count);
}

export function packOutInInt8(memory: LinearMemory, a: Arguments<"packOutInInt8">): void {
  packStoredOutIn(blocks(a), memory, a, a.items);
}

export function narrowHalves({ f32, wasm }: LinearMemory, a: Arguments<"narrowHalves">): void {
  const halves = new Uint16Array(wasm.buffer);
  for (let i = 0; i < a.count; i++) {
    const value = f32[a.x + i] as number;
    if (Math.abs(value) <= HALF_MAX) halves[a.out * 2 + i] = toHalf(value);
    else f32[a.tooLarge] = value;
  }
}

export function widenHalves({ f32, wasm }: LinearMemory, a: Arguments<"widenHalves">): void {
  const halves = new Uint16Array(wasm.buffer);
  for (let i = 0; i < CONVERTED * a.items; i++) f32[a.out + i] = fromHalf(halves[a.x * 2 + i] as number);
}

/** bfloat16 is the upper half of an f32. */
export function widenBf16({ i32, wasm }: LinearMemory, a: Arguments<"widenBf16">): void {
  const halves = new Uint16Array(wasm.buffer);
  for (let i = 0; i < CONVERTED * a.items; i++) i32[a.out + i] = (halves[a.x * 2 + i] as number) << 16;
}

/** There are 16 running sums by index of the word mod 16. At the end, four of them are folded into each word of the digest. */
export function digest({ i32 }: LinearMemory, a: Arguments<"digest">): void {
  const mix = (sum: number, word: number): number => {
    const x = sum ^ word;
    return Math.imul((x << 13) | (x >>> 19), 0x9e3779b1);
  };
  const words = (a.bytes >>> 0) / 4;
  for (let piece = 0; piece < a.items; piece++) {
    const sums = Int32Array.from({ length: 16 }, (_, i) => 1 + Math.floor(i / 4));
    const first = (piece * DIGESTED_BYTES) / 4;
    const last = Math.min(first + DIGESTED_BYTES / 4, words);
    for (let word = first; word < last; word++) {
      sums[word % 16] = mix(sums[word % 16] as number, i32[a.x + word] as number);
    }
    for (let lane = 0; lane < 4; lane++) {
      const at = (i: number): number => sums[i + lane] as number;
      i32[a.out + (piece * DIGEST_BYTES) / 4 + lane] = mix(mix(mix(at(0), at(4)), at(8)), at(12));
    }
  }
}
