// The kernels in plain TypeScript: loops that a reader can compare with the formulas. They define what a kernel computes, to the
// bit. The WebAssembly and the native kernels are tested against them. Slow on purpose, and single-threaded.

import { type Arguments, type Kernel, readArguments } from "../instruction.ts";
import type { LogitsRow } from "../logits-row.ts";
import { type LinearMemory, rowStride } from "../memory.ts";
import { END, INSTRUCTION_BYTES, KERNELS, type KernelName, PANEL } from "../numbers.ts";
import type { Executor, LogitsPlace } from "../program.ts";
import { attention, attentionInt8, storeKv, storeKvInt8 } from "./attention.ts";
import { embedHalf, matmulInt8, quantize, quantizeRotated } from "./int8.ts";
import { epilogueOf, partialSums } from "./math.ts";
import {
  digest,
  narrowHalves,
  packInOut,
  packInOutInt8,
  packOutIn,
  packOutInInt8,
  widenBf16,
  widenHalves,
} from "./pack.ts";
import { PlainLogitsRow } from "./plain-logits-row.ts";

const f = Math.fround;

const DEFINITIONS: { readonly [Name in KernelName]: Kernel<Name> } = {
  embed,
  layerNorm,
  matmul,
  storeKv,
  storeKvInt8,
  attention,
  attentionInt8,
  gatherRows,
  copyPages,
  quantize,
  matmulInt8,
  embedHalf,
  readMemory() {},
  quantizeRotated,
  matmulRotated: matmulInt8,
  packInOut,
  packOutIn,
  packInOutInt8,
  packOutInInt8,
  narrowHalves,
  widenHalves,
  widenBf16,
  digest,
};

const NAMES = new Map((Object.keys(KERNELS) as KernelName[]).map((name) => [KERNELS[name].op, name]));

export class ReferenceExecutor implements Executor {
  readonly name = "reference";
  readonly memory: LinearMemory;
  readonly ready = Promise.resolve();

  constructor(memory: LinearMemory) {
    this.memory = memory;
  }

  run(program: number): void {
    const { i32 } = this.memory;
    for (let at = program; i32[at >>> 2] !== END; at += INSTRUCTION_BYTES) {
      runInstruction(this.memory, at, NAMES.get(i32[at >>> 2] as number) as KernelName);
    }
  }

  logitsRow({ address, width }: LogitsPlace): LogitsRow {
    return new PlainLogitsRow(this.memory.floats(address, width));
  }

  async close(): Promise<void> {}
}

function runInstruction<Name extends KernelName>(memory: LinearMemory, at: number, name: Name): void {
  DEFINITIONS[name](memory, readArguments(memory, at, name));
}

function embed({ f32, i32 }: LinearMemory, a: Arguments<"embed">): void {
  const stride = rowStride(a.width);
  for (let row = 0; row < a.items; row++) {
    const token = i32[a.tokens + row] as number;
    const position = i32[a.positions + row] as number;
    const column = a.wte + Math.floor(token / PANEL) * PANEL * a.width + (token % PANEL);
    for (let i = 0; i < a.width; i++) {
      const embedding = f32[column + i * PANEL] as number;
      f32[a.out + row * stride + i] = embedding + (f32[a.wpe + position * stride + i] as number);
    }
  }
}

function layerNorm({ f32 }: LinearMemory, a: Arguments<"layerNorm">): void {
  const stride = rowStride(a.width);
  for (let row = 0; row < a.items; row++) {
    const at = (i: number): number => f32[a.x + row * stride + i] as number;
    const mean = f(partialSums(a.width, at) / a.width);
    const centred = (i: number): number => f(at(i) - mean);
    const variance = f(partialSums(a.width, (i) => f(centred(i) * centred(i))) / a.width);
    const scale = f(1 / f(Math.sqrt(f(variance + a.epsilon))));
    for (let i = 0; i < stride; i++) {
      const y = f(f(centred(i) * scale) * (f32[a.weight + i] as number));
      f32[a.out + row * stride + i] = y + (f32[a.bias + i] as number);
    }
  }
}

function matmul({ f32 }: LinearMemory, a: Arguments<"matmul">): void {
  const finish = epilogueOf(a.epilogue);
  for (let row = 0; row < a.rows; row++) {
    const x = a.x + row * rowStride(a.inWidth);
    for (let n = 0; n < rowStride(a.outWidth); n++) {
      const w = a.weight + Math.floor(n / PANEL) * PANEL * a.inWidth + (n % PANEL);
      let sum = 0;
      for (let k = 0; k < a.inWidth; k++) {
        sum = f(sum + f((f32[x + k] as number) * (f32[w + k * PANEL] as number)));
      }
      if (a.bias) sum = f(sum + (f32[a.bias + n] as number));
      const y = a.out + row * rowStride(a.outWidth) + n;
      f32[y] = finish(sum, f32[y] as number);
    }
  }
}

function gatherRows({ f32, i32 }: LinearMemory, a: Arguments<"gatherRows">): void {
  const stride = rowStride(a.width);
  for (let row = 0; row < a.items; row++) {
    const from = a.x + (i32[a.indices + row] as number) * stride;
    f32.copyWithin(a.out + row * stride, from, from + stride);
  }
}

function copyPages({ f32, i32 }: LinearMemory, a: Arguments<"copyPages">): void {
  const pageFloats = a.pageBytes / 4;
  for (let i = 0; i < a.items; i++) {
    const from = a.pages + (i32[a.pairs + 2 * i] as number) * pageFloats;
    const to = a.pages + (i32[a.pairs + 2 * i + 1] as number) * pageFloats;
    f32.copyWithin(to, from, from + pageFloats);
  }
}
