// The interpreter: runs a recorded program of kernels. Threads take items of a kernel until none are left, and who does the
// last begins the next kernel. A whole pass of the model is one call from JavaScript. How instructions are laid out: `../numbers.ts`.
import { attention } from "./attention";
import { embedHalf, matmulInt8, quantize, quantizeRotated } from "./int8";
export {
  argmax, distribution, divide, keepFrom, keepTopK, keepTopP, largest, openRow, subtract, sumExp, topK,
} from "./logits";
import { storeKv } from "./keys-values";
import { matmul } from "./matmul";
import { isNativeKernel, runNative } from "./native";
import {
  AttentionInstruction, CopyPagesInstruction, DigestInstruction, EmbedHalfInstruction, EmbedInstruction, END,
  GatherRowsInstruction, INSTRUCTION_BYTES, INSTRUCTION_ITEMS, INSTRUCTION_OP, LayerNormInstruction,
  MatmulInstruction, MatmulInt8Instruction, NarrowHalvesInstruction, OP_ATTENTION, OP_ATTENTION_INT8, OP_COPY_PAGES,
  OP_DIGEST, OP_EMBED, OP_EMBED_HALF, OP_GATHER_ROWS, OP_LAYER_NORM, OP_MATMUL, OP_MATMUL_INT8, OP_MATMUL_ROTATED,
  OP_NARROW_HALVES, OP_PACK_IN_OUT, OP_PACK_IN_OUT_INT8, OP_PACK_OUT_IN, OP_PACK_OUT_IN_INT8, OP_QUANTIZE,
  OP_QUANTIZE_ROTATED, OP_READ_MEMORY, OP_STORE_KV, OP_STORE_KV_INT8, OP_WIDEN_BF16,
  OP_WIDEN_HALVES, PackInOutInstruction, PackInOutInt8Instruction, PackOutInInstruction, PackOutInInt8Instruction,
  QuantizeInstruction, QuantizeRotatedInstruction, ReadMemoryInstruction, StoreKvInstruction, WidenBf16Instruction, WidenHalvesInstruction,
} from "./numbers.generated";
import {
  digest, narrowHalves, packInOut, packInOutInt8, packOutIn, packOutInInt8, widenBf16, widenHalves,
} from "./pack";
import { copyPages, embed, gatherRows, layerNorm, readMemory } from "./rows";
import {
  announceProgram, beginStep, finish, firstLeft, isEnd, isStopping, nextStep, presentInstruction, presentProgram, presentStep,
  sleepThrough, take,
} from "./threads";

/** Steps in turn without an item for a helper, after which it sleeps: there is no core for it, or nothing to do. */
const IDLE_STEPS_MAX: i32 = 64;
/** Of these, how many it tries when it is woken. */
const IDLE_STEPS_AGAIN: i32 = 8;

// @ts-ignore: decorator
@inline
function opOf(instruction: usize): i32 {
  return load<i32>(instruction, INSTRUCTION_OP);
}

/**
 * Where the items end that a thread takes from `first` on. Native kernels are handed items in chunks of shrinking size
 * (guided self-scheduling), so that a thread whose core also runs something else does not make the others wait. WebAssembly
 * kernels walk several streams side by side, and get equal shares. How items are cut changes no bits.
 */
function endOfChunk(op: i32, first: i32, items: i32, parts: i32): i32 {
  if (!isNativeKernel(op)) return min(items, first + (items + parts - 1) / parts);
  const least = max(1, items / (16 * parts));
  return min(items, first + max(least, (items - first) / (2 * parts)));
}

/** Items `first` to `last` of an instruction, on thread `part`. */
function execute(i: usize, part: i32, first: i32, last: i32): void {
  const op = opOf(i);
  if (isNativeKernel(op)) runNative(i, part, first, last);
  else if (op == OP_MATMUL) matmul(changetype<MatmulInstruction>(i), part, first, last);
  else if (op == OP_ATTENTION) attention<f32>(changetype<AttentionInstruction>(i), part, first, last);
  else if (op == OP_ATTENTION_INT8) attention<i8>(changetype<AttentionInstruction>(i), part, first, last);
  else if (op == OP_MATMUL_INT8) matmulInt8(changetype<MatmulInt8Instruction>(i), part, first, last);
  // Rotated activations are kept as 14-bit ones are, and so is their product.
  else if (op == OP_MATMUL_ROTATED) matmulInt8(changetype<MatmulInt8Instruction>(i), part, first, last);
  else if (op == OP_QUANTIZE_ROTATED) quantizeRotated(changetype<QuantizeRotatedInstruction>(i), part, first, last);
  else if (op == OP_QUANTIZE) quantize(changetype<QuantizeInstruction>(i), first, last);
  else if (op == OP_LAYER_NORM) layerNorm(changetype<LayerNormInstruction>(i), part, first, last);
  else if (op == OP_STORE_KV) storeKv<f32>(changetype<StoreKvInstruction>(i), first, last);
  else if (op == OP_STORE_KV_INT8) storeKv<i8>(changetype<StoreKvInstruction>(i), first, last);
  else if (op == OP_EMBED) embed(changetype<EmbedInstruction>(i), first, last);
  else if (op == OP_EMBED_HALF) embedHalf(changetype<EmbedHalfInstruction>(i), first, last);
  else if (op == OP_GATHER_ROWS) gatherRows(changetype<GatherRowsInstruction>(i), first, last);
  else if (op == OP_COPY_PAGES) copyPages(changetype<CopyPagesInstruction>(i), first, last);
  else if (op == OP_READ_MEMORY) readMemory(changetype<ReadMemoryInstruction>(i), part, first, last);
  // While a model is loaded.
  else if (op == OP_PACK_IN_OUT) packInOut(changetype<PackInOutInstruction>(i), first, last);
  else if (op == OP_PACK_OUT_IN) packOutIn(changetype<PackOutInInstruction>(i), first, last);
  else if (op == OP_PACK_IN_OUT_INT8) packInOutInt8(changetype<PackInOutInt8Instruction>(i), part, first, last);
  else if (op == OP_PACK_OUT_IN_INT8) packOutInInt8(changetype<PackOutInInt8Instruction>(i), part, first, last);
  else if (op == OP_NARROW_HALVES) narrowHalves(changetype<NarrowHalvesInstruction>(i), first, last);
  else if (op == OP_WIDEN_HALVES) widenHalves(changetype<WidenHalvesInstruction>(i), first, last);
  else if (op == OP_WIDEN_BF16) widenBf16(changetype<WidenBf16Instruction>(i), first, last);
  else if (op == OP_DIGEST) digest(changetype<DigestInstruction>(i), first, last);
}

/** Begins the step of the first instruction that has items, or of the end, where there are none. */
function beginFrom(i: usize): void {
  while (opOf(i) != END && load<i32>(i, INSTRUCTION_ITEMS) == 0) i += INSTRUCTION_BYTES;
  beginStep(i, opOf(i) == END);
}

/**
 * Does items of a step until none are left, and begins the next step if its own were the last. Returns whether there were
 * any for this thread. When the step is over already, what is read here belongs to another one, and nothing can be taken.
 */
function takePart(step: i32, part: i32, parts: i32): bool {
  const i = presentInstruction();
  const items = load<i32>(i, INSTRUCTION_ITEMS);
  let done = 0;
  for (let first = firstLeft(step, items); first >= 0; first = firstLeft(step, items)) {
    const last = endOfChunk(opOf(i), first, items, parts);
    if (!take(step, first, last, items)) continue;
    execute(i, part, first, last);
    done += last - first;
  }
  if (done > 0 && finish(done, items)) beginFrom(i + INSTRUCTION_BYTES);
  return done > 0;
}

/** Runs a program on `parts` threads; returns when all of it is done. Called by the engine thread. */
export function run(program: usize, parts: i32): void {
  if (parts == 1) {
    for (let i = program; opOf(i) != END; i += INSTRUCTION_BYTES) {
      const items = load<i32>(i, INSTRUCTION_ITEMS);
      if (items > 0) execute(i, 0, 0, items);
    }
    return;
  }
  announceProgram();
  beginFrom(program);
  for (let step = presentStep(); !isEnd(step); step = nextStep(step)) takePart(step, 0, parts);
}

/** A helper thread's life: takes part in every step after step `seen` until the engine stops. */
export function help(part: i32, parts: i32, seen: i32): void {
  let idleSteps = 0;
  for (;;) {
    seen = nextStep(seen);
    const program = presentProgram();
    if (isStopping()) return;
    if (takePart(seen, part, parts)) idleSteps = 0;
    else if (++idleSteps == IDLE_STEPS_MAX) {
      idleSteps -= IDLE_STEPS_AGAIN;
      sleepThrough(program);
    }
  }
}
