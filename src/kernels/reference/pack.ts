// The kernels that pack weights, in plain TypeScript: the definition of their bits. f32 goes into panels of 16 outputs,
// [N/16][K][16]; 8-bit weights into blocks of 16 outputs by a group of 64 along k, [N/16][K/64], each [16][16 outputs][4 k]
// weights and then the 16 scales. What lies beyond a matrix's edges is not written, and is 0 in fresh memory.

import type { LinearMemory } from "../memory.ts";
import { BLOCK, BLOCK_BYTES, blockByte, DIGESTED_BYTES, GROUP, OP, PANEL, WEIGHT_MAX } from "../program.ts";
import { fromHalf, HALF_MAX, toHalf } from "./half.ts";
import type { Instruction, Kernel } from "./instruction.ts";

/** Where element (k, n) of a piece stands in linear memory, as an index of floats. */
type Place = (k: number, n: number) => number;

/** The k's and outputs of a matrix that a piece holds. */
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

/** The largest magnitude of a group of 64 sets its scale; weights are rounded as Math.round does. */
function packBlocks(memory: LinearMemory, weight: number, { inWidth, k, n }: Region, at: Place): void {
  const { f32 } = memory;
  const bytes = new Int8Array(memory.wasm.buffer);
  const groups = Math.ceil(inWidth / GROUP);
  for (let output = n[0]; output < n[1]; output++) {
    const lane = output % BLOCK;
    for (let first = k[0]; first < k[1]; first += GROUP) {
      const block = weight * 4 + (Math.floor(output / BLOCK) * groups + first / GROUP) * BLOCK_BYTES;
      const last = Math.min(first + GROUP, k[1]);
      let largest = 0;
      for (let i = first; i < last; i++) {
        const magnitude = Math.abs(f32[at(i, output)] as number);
        if (magnitude > largest) largest = magnitude;
      }
      const inverse = largest > 0 ? WEIGHT_MAX / largest : 0;
      for (let i = first; i < last; i++) {
        const to = block + blockByte(i - first, lane);
        bytes[to] = Math.round((f32[at(i, output)] as number) * inverse);
      }
      f32[(block + BLOCK * GROUP) / 4 + lane] = largest / WEIGHT_MAX;
    }
  }
}

type Pack = typeof packPanels;

/** x[count, outWidth], rows `begin` and on of a matrix stored [in, out]. */
function inOut(pack: Pack): Kernel {
  return (memory, a) => {
    const [weight, x, inWidth, outWidth] = [a.address(0), a.address(1), a.int(2), a.int(3)];
    const [begin, count] = [a.int(4), a.int(5)];
    const region: Region = { inWidth, k: [begin, begin + count], n: [0, outWidth] };
    pack(memory, weight, region, (k, n) => x + (k - begin) * outWidth + n);
  };
}

/** x[count, inWidth], outputs `begin` and on of a matrix stored [out, in]. */
function outIn(pack: Pack, countOf: (a: Instruction) => number): Kernel {
  return (memory, a) => {
    const [weight, x, inWidth, begin] = [a.address(0), a.address(1), a.int(2), a.int(3)];
    const region: Region = { inWidth, k: [0, inWidth], n: [begin, begin + countOf(a)] };
    pack(memory, weight, region, (k, n) => x + (n - begin) * inWidth + k);
  };
}

function narrowHalves({ f32, wasm }: LinearMemory, a: Instruction): void {
  const halves = new Uint16Array(wasm.buffer);
  const [out, x, count, tooLarge] = [a.address(0) * 2, a.address(1), a.int(2), a.address(3)];
  for (let i = 0; i < count; i++) {
    const value = f32[x + i] as number;
    if (Math.abs(value) <= HALF_MAX) halves[out + i] = toHalf(value);
    else f32[tooLarge] = value;
  }
}

function widenHalves({ f32, wasm }: LinearMemory, a: Instruction): void {
  const halves = new Uint16Array(wasm.buffer);
  const [out, x] = [a.address(0), a.address(1) * 2];
  for (let i = 0; i < 16 * a.items; i++) f32[out + i] = fromHalf(halves[x + i] as number);
}

/** bfloat16 is the upper half of an f32. */
function widenBf16({ i32, wasm }: LinearMemory, a: Instruction): void {
  const halves = new Uint16Array(wasm.buffer);
  const [out, x] = [a.address(0), a.address(1) * 2];
  for (let i = 0; i < 16 * a.items; i++) i32[out + i] = (halves[x + i] as number) << 16;
}

/** Sixteen sums run beside each other, each over every sixteenth word; four times four are then folded into one. */
function digest({ i32 }: LinearMemory, a: Instruction): void {
  const mix = (sum: number, word: number): number => {
    const x = sum ^ word;
    return Math.imul((x << 13) | (x >>> 19), 0x9e3779b1);
  };
  const [out, x] = [a.address(0), a.address(1)];
  const words = (a.int(2) >>> 0) / 4;
  for (let piece = 0; piece < a.items; piece++) {
    const sums = Int32Array.from({ length: 16 }, (_, i) => 1 + Math.floor(i / 4));
    const first = (piece * DIGESTED_BYTES) / 4;
    const last = Math.min(first + DIGESTED_BYTES / 4, words);
    for (let word = first; word < last; word++) {
      sums[word % 16] = mix(sums[word % 16] as number, i32[x + word] as number);
    }
    for (let lane = 0; lane < 4; lane++) {
      const [first = 0, ...others] = [0, 4, 8, 12].map((i) => sums[i + lane] as number);
      i32[out + piece * 4 + lane] = others.reduce(mix, first);
    }
  }
}

export const PACKING: Record<number, Kernel> = {
  [OP.packInOut]: inOut(packPanels),
  [OP.packOutIn]: outIn(packPanels, (a) => a.int(4)),
  [OP.packInOutInt8]: inOut(packBlocks),
  [OP.packOutInInt8]: outIn(packBlocks, (a) => a.items),
  [OP.narrowHalves]: narrowHalves,
  [OP.widenHalves]: widenHalves,
  [OP.widenBf16]: widenBf16,
  [OP.digest]: digest,
};
