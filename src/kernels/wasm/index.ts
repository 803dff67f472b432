// The interpreter: runs a recorded program of kernel calls, every thread its own part of each, with a barrier between.
// A whole step of the model is one call from JavaScript. Instruction layout: see `../program.ts`.
import { attention, storeKv } from "./attention";
import { embedHalf, matmulInt8, quantize } from "./int8";
import { matmul } from "./matmul";
import { isNative, native } from "./native";
import {
  digest, narrowHalves, packInOut, packInOutInt8, packOutIn, packOutInInt8, widenBf16, widenHalves,
} from "./pack";
import { copyPages, embed, gatherRows, layerNorm, readMemory } from "./rows";
export {
  argmax, collect, distribution, divide, keepFrom, keepTopP, kthLargest, largest, subtract, sumExp,
} from "./logits";
import { barrier, nextProgram, publish, publishedParts, publishedProgram } from "./threads";

const END: i32 = 0;
const EMBED: i32 = 1;
const LAYER_NORM: i32 = 2;
const MATMUL: i32 = 3;
const STORE_KV: i32 = 4;
const ATTENTION: i32 = 5;
const GATHER_ROWS: i32 = 6;
const COPY_PAGES: i32 = 7;
const QUANTIZE: i32 = 8;
const MATMUL_INT8: i32 = 9;
const EMBED_HALF: i32 = 10;
const READ_MEMORY: i32 = 11;
const PACK_IN_OUT: i32 = 32;
const PACK_OUT_IN: i32 = 33;
const PACK_IN_OUT_INT8: i32 = 34;
const PACK_OUT_IN_INT8: i32 = 35;
const NARROW_HALVES: i32 = 36;
const WIDEN_HALVES: i32 = 37;
const WIDEN_BF16: i32 = 38;
const DIGEST: i32 = 39;

const INSTRUCTION_BYTES: usize = 64;
const CURSOR: usize = 60; // the last word of an instruction: the first item that no thread has taken

// @ts-ignore: decorator
@inline
function pointer(instruction: usize, argument: i32): usize {
  return <usize>load<i32>(instruction + (<usize>argument << 2));
}

// @ts-ignore: decorator
@inline
function int(instruction: usize, argument: i32): i32 {
  return load<i32>(instruction + (<usize>argument << 2));
}

// @ts-ignore: decorator
@inline
function float(instruction: usize, argument: i32): f32 {
  return load<f32>(instruction + (<usize>argument << 2));
}

/** Start of share `part` of `count` items; the end is the start of the next share. */
// @ts-ignore: decorator
@inline
function share(count: i32, part: i32, parts: i32): i32 {
  return <i32>((<i64>count * part) / parts);
}

/**
 * Native kernels are handed items by and by, large portions first, so that a thread whose core is slowed down by others
 * does not make the rest wait. How items are portioned changes no bits.
 */
function executeNative(i: usize, part: i32, parts: i32): void {
  const items = int(i, 1);
  if (parts == 1) {
    native(i, part, 0, items);
    return;
  }
  const cursor = i + CURSOR;
  const least = max(1, items / (16 * parts));
  for (let first = atomic.load<i32>(cursor); first < items; first = atomic.load<i32>(cursor)) {
    const last = min(items, first + max(least, (items - first) / (2 * parts)));
    if (atomic.cmpxchg<i32>(cursor, first, last) == first) native(i, part, first, last);
  }
}

function execute(i: usize, part: i32, parts: i32): void {
  const op = int(i, 0);
  if (isNative(op)) {
    executeNative(i, part, parts);
    return;
  }
  // Argument 1 of every instruction is the number of items that are shared out among the threads.
  const first = share(int(i, 1), part, parts);
  const last = share(int(i, 1), part + 1, parts);
  if (first == last) return;
  if (op == MATMUL) {
    matmul(
      pointer(i, 2), pointer(i, 3), pointer(i, 4), pointer(i, 5),
      int(i, 6), int(i, 7), int(i, 8), int(i, 9), pointer(i, 10) + <usize>part * pointer(i, 11), first, last,
    );
  } else if (op == ATTENTION) {
    const scratch = pointer(i, 11) + <usize>part * pointer(i, 12);
    attention(
      pointer(i, 2), pointer(i, 3), pointer(i, 4), pointer(i, 5),
      int(i, 6), int(i, 7), float(i, 8), pointer(i, 9), pointer(i, 10), scratch, first, last,
    );
  } else if (op == MATMUL_INT8) {
    matmulInt8(
      pointer(i, 2), pointer(i, 3), pointer(i, 4), pointer(i, 5), pointer(i, 6),
      int(i, 7), int(i, 8), int(i, 9), int(i, 10), pointer(i, 11) + <usize>part * pointer(i, 12), first, last,
    );
  } else if (op == QUANTIZE) {
    quantize(pointer(i, 2), pointer(i, 3), pointer(i, 4), int(i, 5), int(i, 6), first, last);
  } else if (op == LAYER_NORM) {
    const scratch = pointer(i, 8) + <usize>part * pointer(i, 9);
    layerNorm(pointer(i, 2), pointer(i, 3), pointer(i, 4), pointer(i, 5), int(i, 6), float(i, 7), scratch, first, last);
  } else if (op == STORE_KV) {
    storeKv(
      pointer(i, 2), pointer(i, 3), pointer(i, 4), int(i, 5), int(i, 6), pointer(i, 7), pointer(i, 8), first, last,
    );
  } else if (op == EMBED) {
    embed(pointer(i, 2), pointer(i, 3), pointer(i, 4), pointer(i, 5), pointer(i, 6), int(i, 7), first, last);
  } else if (op == EMBED_HALF) {
    embedHalf(pointer(i, 2), pointer(i, 3), pointer(i, 4), pointer(i, 5), pointer(i, 6), int(i, 7), first, last);
  } else if (op == GATHER_ROWS) {
    gatherRows(pointer(i, 2), pointer(i, 3), pointer(i, 4), int(i, 5), first, last);
  } else if (op == COPY_PAGES) {
    copyPages(pointer(i, 2), pointer(i, 3), pointer(i, 4), first, last);
  } else if (op == READ_MEMORY) {
    readMemory(pointer(i, 2), pointer(i, 3) + <usize>part * pointer(i, 4), first, last);
  } else {
    executePacking(op, i, first, last);
  }
}

/** The kernels that run while a model is loaded. */
function executePacking(op: i32, i: usize, first: i32, last: i32): void {
  if (op == PACK_IN_OUT) {
    packInOut(pointer(i, 2), pointer(i, 3), int(i, 4), int(i, 5), int(i, 6), int(i, 7), first, last);
  } else if (op == PACK_OUT_IN) {
    packOutIn(pointer(i, 2), pointer(i, 3), int(i, 4), int(i, 5), int(i, 6), first, last);
  } else if (op == PACK_IN_OUT_INT8) {
    packInOutInt8(pointer(i, 2), pointer(i, 3), int(i, 4), int(i, 5), int(i, 6), int(i, 7), first, last);
  } else if (op == PACK_OUT_IN_INT8) {
    packOutInInt8(pointer(i, 2), pointer(i, 3), int(i, 4), int(i, 5), first, last);
  } else if (op == NARROW_HALVES) {
    narrowHalves(pointer(i, 2), pointer(i, 3), int(i, 4), pointer(i, 5), first, last);
  } else if (op == WIDEN_HALVES) {
    widenHalves(pointer(i, 2), pointer(i, 3), first, last);
  } else if (op == WIDEN_BF16) {
    widenBf16(pointer(i, 2), pointer(i, 3), first, last);
  } else if (op == DIGEST) {
    digest(pointer(i, 2), pointer(i, 3), int(i, 4), first, last);
  }
}

function runPart(program: usize, part: i32, parts: i32): void {
  // The end is found before the first barrier: after the last one the leader may already record the next program.
  let end = program;
  while (int(end, 0) != END) end += INSTRUCTION_BYTES;
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

/** A helper thread's life: runs its part of every program until the engine stops. */
export function help(part: i32): void {
  let seen: i32 = 0;
  while ((seen = nextProgram(seen)) >= 0) runPart(publishedProgram(), part, publishedParts());
}
