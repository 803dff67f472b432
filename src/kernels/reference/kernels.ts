// The kernels in plain TypeScript: loops that can be checked against the formulas by eye. They define what a kernel
// computes, to the bit; the WebAssembly kernels are tested against them. Slow on purpose, and single-threaded.
import type { LogitsRow } from "../logits-row.ts";
import { type LinearMemory, rowStride } from "../memory.ts";
import {
  type Executor,
  headFloats,
  INSTRUCTION_WORDS,
  type LogitsPlace,
  OP,
  PAGE_POSITIONS,
  PANEL,
} from "../program.ts";
import type { Instruction, Kernel } from "./instruction.ts";
import { embedHalf, matmulInt8, quantize } from "./int8.ts";
import { epilogueOf, exp, partialSums } from "./math.ts";
import { PACKING } from "./pack.ts";
import { PlainLogitsRow } from "./plain-logits-row.ts";

const f = Math.fround;

export class ReferenceExecutor implements Executor {
  readonly name = "reference";
  readonly memory: LinearMemory;
  readonly ready = Promise.resolve();

  constructor(memory: LinearMemory) {
    this.memory = memory;
  }

  run(program: number): void {
    const { i32, f32 } = this.memory;
    for (let word = program >>> 2; i32[word] !== OP.end; word += INSTRUCTION_WORDS) {
      const base = word + 2;
      const instruction: Instruction = {
        items: i32[word + 1] as number,
        address: (n) => (i32[base + n] as number) >>> 2,
        int: (n) => i32[base + n] as number,
        float: (n) => f32[base + n] as number,
      };
      KERNELS[i32[word] as number]?.(this.memory, instruction);
    }
  }

  logitsRow({ address, width }: LogitsPlace): LogitsRow {
    return new PlainLogitsRow(this.memory.floats(address, width));
  }

  async close(): Promise<void> {}
}

const KERNELS: Record<number, Kernel> = {
  [OP.embed]: embed,
  [OP.layerNorm]: layerNorm,
  [OP.matmul]: matmul,
  [OP.storeKv]: storeKv,
  [OP.attention]: attention,
  [OP.gatherRows]: gatherRows,
  [OP.copyPages]: copyPages,
  [OP.quantize]: quantize,
  [OP.matmulInt8]: matmulInt8,
  [OP.embedHalf]: embedHalf,
  [OP.readMemory]: () => {},
  ...PACKING,
};

function embed({ f32, i32 }: LinearMemory, a: Instruction): void {
  const [out, tokens, positions, wte, wpe] = [0, 1, 2, 3, 4].map(a.address) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const width = a.int(5);
  const stride = rowStride(width);
  for (let row = 0; row < a.items; row++) {
    const token = i32[tokens + row] as number;
    const position = i32[positions + row] as number;
    const column = wte + Math.floor(token / PANEL) * PANEL * width + (token % PANEL);
    for (let i = 0; i < width; i++) {
      f32[out + row * stride + i] =
        (f32[column + i * PANEL] as number) + (f32[wpe + position * stride + i] as number);
    }
  }
}

function layerNorm({ f32 }: LinearMemory, a: Instruction): void {
  const [out, x, weight, bias] = [0, 1, 2, 3].map(a.address) as [number, number, number, number];
  const width = a.int(4);
  const epsilon = a.float(5);
  const stride = rowStride(width);
  for (let row = 0; row < a.items; row++) {
    const at = (i: number): number => f32[x + row * stride + i] as number;
    const mean = f(partialSums(width, at) / width);
    const centred = (i: number): number => f(at(i) - mean);
    const variance = f(partialSums(width, (i) => f(centred(i) * centred(i))) / width);
    const scale = f(1 / f(Math.sqrt(f(variance + epsilon))));
    for (let i = 0; i < stride; i++) {
      const y = f(f(centred(i) * scale) * (f32[weight + i] as number));
      f32[out + row * stride + i] = y + (f32[bias + i] as number);
    }
  }
}

function matmul({ f32 }: LinearMemory, a: Instruction): void {
  const [out, x, weight, bias] = [0, 1, 2, 3].map(a.address) as [number, number, number, number];
  const [rows, inWidth, outWidth, epilogue] = [4, 5, 6, 7].map(a.int) as [number, number, number, number];
  const finish = epilogueOf(epilogue);
  for (let row = 0; row < rows; row++) {
    for (let n = 0; n < rowStride(outWidth); n++) {
      const w = weight + Math.floor(n / PANEL) * PANEL * inWidth + (n % PANEL);
      let sum = 0;
      for (let k = 0; k < inWidth; k++) {
        sum = f(sum + f((f32[x + row * rowStride(inWidth) + k] as number) * (f32[w + k * PANEL] as number)));
      }
      if (bias) sum = f(sum + (f32[bias + n] as number));
      const y = out + row * rowStride(outWidth) + n;
      f32[y] = finish(sum, f32[y] as number);
    }
  }
}

/** Float index of one head of one layer in the page that holds `position` of row `row`. */
function headInPage(
  memory: LinearMemory,
  table: number,
  position: number,
  head: number,
  kv: { pages: number; pageFloats: number; headSize: number },
): number {
  const page = memory.i32[(table >>> 2) + Math.floor(position / PAGE_POSITIONS)] as number;
  return kv.pages + page * kv.pageFloats + head * headFloats(kv.headSize);
}

function storeKv(memory: LinearMemory, a: Instruction): void {
  const { f32, i32 } = memory;
  const [qkv, positions, tables] = [0, 1, 2].map(a.address) as [number, number, number];
  const [heads, headSize] = [a.int(3), a.int(4)];
  const kv = { pages: a.address(5), pageFloats: a.address(6), headSize };
  const width = heads * headSize;
  const padded = (headSize + 3) & ~3;
  for (let item = 0; item < a.items; item++) {
    const [row, head] = [Math.floor(item / heads), item % heads];
    const position = i32[positions + row] as number;
    const slot = position % PAGE_POSITIONS;
    const k = qkv + row * rowStride(3 * width) + width + head * headSize;
    const keys = headInPage(memory, i32[tables + row] as number, position, head, kv);
    const values = keys + headSize * PAGE_POSITIONS + slot * padded;
    for (let i = 0; i < padded; i++) {
      const inHead = i < headSize;
      if (inHead) f32[keys + i * PAGE_POSITIONS + slot] = f32[k + i] as number;
      f32[values + i] = inHead ? (f32[k + width + i] as number) : 0;
    }
  }
}

function attention(memory: LinearMemory, a: Instruction): void {
  const { f32, i32 } = memory;
  const [out, qkv, positions, tables] = [0, 1, 2, 3].map(a.address) as [number, number, number, number];
  const [heads, headSize, scale] = [a.int(4), a.int(5), a.float(6)];
  const kv = { pages: a.address(7), pageFloats: a.address(8), headSize };
  const width = heads * headSize;
  const padded = (headSize + 3) & ~3;
  for (let item = 0; item < a.items; item++) {
    const [row, head] = [Math.floor(item / heads), item % heads];
    const table = i32[tables + row] as number;
    const count = (i32[positions + row] as number) + 1;
    const q = qkv + row * rowStride(3 * width) + head * headSize;
    const weights = new Float32Array(count);
    for (let j = 0; j < count; j++) {
      const keys = headInPage(memory, table, j, head, kv) + (j % PAGE_POSITIONS);
      let sum = 0;
      for (let i = 0; i < headSize; i++) {
        sum = f(sum + f((f32[q + i] as number) * (f32[keys + i * PAGE_POSITIONS] as number)));
      }
      weights[j] = sum * scale;
    }
    const largest = weights.reduce((m, w) => Math.max(m, w), -Infinity);
    for (let j = 0; j < count; j++) weights[j] = exp(f((weights[j] as number) - largest));
    const total = partialSums(count, (j) => weights[j] as number);
    for (let i = 0; i < headSize; i++) {
      let sum = 0;
      for (let j = 0; j < count; j++) {
        const values = headInPage(memory, table, j, head, kv) + headSize * PAGE_POSITIONS;
        const v = f32[values + (j % PAGE_POSITIONS) * padded + i] as number;
        sum = f(sum + f((weights[j] as number) * v));
      }
      f32[out + row * rowStride(width) + head * headSize + i] = f(sum / total);
    }
  }
}

function gatherRows({ f32, i32 }: LinearMemory, a: Instruction): void {
  const [out, x, indices] = [0, 1, 2].map(a.address) as [number, number, number];
  const stride = rowStride(a.int(3));
  for (let row = 0; row < a.items; row++) {
    const from = x + (i32[indices + row] as number) * stride;
    f32.copyWithin(out + row * stride, from, from + stride);
  }
}

function copyPages({ f32, i32 }: LinearMemory, a: Instruction): void {
  const [pairs, pages, pageFloats] = [0, 1, 2].map(a.address) as [number, number, number];
  for (let i = 0; i < a.items; i++) {
    const [from, to] = [i32[pairs + 2 * i] as number, i32[pairs + 2 * i + 1] as number];
    f32.copyWithin(pages + to * pageFloats, pages + from * pageFloats, pages + (from + 1) * pageFloats);
  }
}
