// The interpreter: runs a recorded program of kernels. Every thread does its own part of each kernel, and all meet at a
// barrier after it. A whole pass of the model is one call from JavaScript. How instructions are laid out: `../numbers.ts`.
import { attention, storeKv } from "./attention";
import { embedHalf, matmulInt8, quantize } from "./int8";
export {
  argmax, distribution, divide, keepFrom, keepTopK, keepTopP, largest, openRow, subtract, sumExp, topK,
} from "./logits";
import { matmul } from "./matmul";
import { isNativeKernel, runNative } from "./native";
import {
  AttentionInstruction, CopyPagesInstruction, DigestInstruction, EmbedHalfInstruction, EmbedInstruction, END,
  GatherRowsInstruction, INSTRUCTION_BYTES, INSTRUCTION_ITEMS, INSTRUCTION_OP, INSTRUCTION_TAKEN, LayerNormInstruction,
  MatmulInstruction, MatmulInt8Instruction, NarrowHalvesInstruction, OP_ATTENTION, OP_COPY_PAGES, OP_DIGEST, OP_EMBED,
  OP_EMBED_HALF, OP_GATHER_ROWS, OP_LAYER_NORM, OP_MATMUL, OP_MATMUL_INT8, OP_NARROW_HALVES, OP_PACK_IN_OUT,
  OP_PACK_IN_OUT_INT8, OP_PACK_OUT_IN, OP_PACK_OUT_IN_INT8, OP_QUANTIZE, OP_READ_MEMORY, OP_STORE_KV, OP_WIDEN_BF16,
  OP_WIDEN_HALVES, PackInOutInstruction, PackInOutInt8Instruction, PackOutInInstruction, PackOutInInt8Instruction,
  QuantizeInstruction, ReadMemoryInstruction, StoreKvInstruction, WidenBf16Instruction, WidenHalvesInstruction,
} from "./numbers.generated";
import {
  digest, narrowHalves, packInOut, packInOutInt8, packOutIn, packOutInInt8, widenBf16, widenHalves,
} from "./pack";
import { copyPages, embed, gatherRows, layerNorm, readMemory } from "./rows";
import { barrier, isStopping, nextProgram, publish, publishedParts, publishedProgram } from "./threads";

// @ts-ignore: decorator
@inline
function opOf(instruction: usize): i32 {
  return load<i32>(instruction, INSTRUCTION_OP);
}

/** Start of share `part` of `count` items; the end is the start of the next share. */
// @ts-ignore: decorator
@inline
function share(count: i32, part: i32, parts: i32): i32 {
  return <i32>((<i64>count * part) / parts);
}

/**
 * Native kernels are handed items in chunks of shrinking size (guided self-scheduling), so that a thread whose core also
 * runs something else does not make the others wait. How items are cut changes no bits.
 */
function executeNative(i: usize, part: i32, parts: i32): void {
  const items = load<i32>(i, INSTRUCTION_ITEMS);
  if (parts == 1) {
    runNative(i, part, 0, items);
    return;
  }
  const taken = i + INSTRUCTION_TAKEN;
  const least = max(1, items / (16 * parts));
  for (let first = atomic.load<i32>(taken); first < items; first = atomic.load<i32>(taken)) {
    const last = min(items, first + max(least, (items - first) / (2 * parts)));
    if (atomic.cmpxchg<i32>(taken, first, last) == first) runNative(i, part, first, last);
  }
}

function execute(i: usize, part: i32, parts: i32): void {
  const op = opOf(i);
  if (isNativeKernel(op)) {
    executeNative(i, part, parts);
    return;
  }
  const items = load<i32>(i, INSTRUCTION_ITEMS);
  const first = share(items, part, parts);
  const last = share(items, part + 1, parts);
  if (first == last) return;
  if (op == OP_MATMUL) matmul(changetype<MatmulInstruction>(i), part, first, last);
  else if (op == OP_ATTENTION) attention(changetype<AttentionInstruction>(i), part, first, last);
  else if (op == OP_MATMUL_INT8) matmulInt8(changetype<MatmulInt8Instruction>(i), part, first, last);
  else if (op == OP_QUANTIZE) quantize(changetype<QuantizeInstruction>(i), first, last);
  else if (op == OP_LAYER_NORM) layerNorm(changetype<LayerNormInstruction>(i), part, first, last);
  else if (op == OP_STORE_KV) storeKv(changetype<StoreKvInstruction>(i), first, last);
  else if (op == OP_EMBED) embed(changetype<EmbedInstruction>(i), first, last);
  else if (op == OP_EMBED_HALF) embedHalf(changetype<EmbedHalfInstruction>(i), first, last);
  else if (op == OP_GATHER_ROWS) gatherRows(changetype<GatherRowsInstruction>(i), first, last);
  else if (op == OP_COPY_PAGES) copyPages(changetype<CopyPagesInstruction>(i), first, last);
  else if (op == OP_READ_MEMORY) readMemory(changetype<ReadMemoryInstruction>(i), part, first, last);
  // While a model is loaded.
  else if (op == OP_PACK_IN_OUT) packInOut(changetype<PackInOutInstruction>(i), first, last);
  else if (op == OP_PACK_OUT_IN) packOutIn(changetype<PackOutInInstruction>(i), first, last);
  else if (op == OP_PACK_IN_OUT_INT8) packInOutInt8(changetype<PackInOutInt8Instruction>(i), first, last);
  else if (op == OP_PACK_OUT_IN_INT8) packOutInInt8(changetype<PackOutInInt8Instruction>(i), first, last);
  else if (op == OP_NARROW_HALVES) narrowHalves(changetype<NarrowHalvesInstruction>(i), first, last);
  else if (op == OP_WIDEN_HALVES) widenHalves(changetype<WidenHalvesInstruction>(i), first, last);
  else if (op == OP_WIDEN_BF16) widenBf16(changetype<WidenBf16Instruction>(i), first, last);
  else if (op == OP_DIGEST) digest(changetype<DigestInstruction>(i), first, last);
}

function runPart(program: usize, part: i32, parts: i32): void {
  // The end is found before the first barrier: after the last one the leader may already record the next program.
  let end = program;
  while (opOf(end) != END) end += INSTRUCTION_BYTES;
  for (; program < end; program += INSTRUCTION_BYTES) {
    execute(program, part, parts);
    barrier(parts);
  }
}

/** Runs a program on `parts` threads; returns when all of it is done. Called by the engine thread. */
export function run(program: usize, parts: i32): void {
  publish(program, parts);
  runPart(program, 0, parts);
}

/** A helper thread's life: runs its part of every program after number `seen` until the engine stops. */
export function help(part: i32, seen: i32): void {
  for (;;) {
    seen = nextProgram(seen);
    if (isStopping()) return;
    runPart(publishedProgram(), part, publishedParts());
  }
}
