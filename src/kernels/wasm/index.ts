// The interpreter: runs a recorded program of kernels. Threads take items of a kernel until none are left. The thread that
// finishes the last item begins the next kernel. So a whole pass of the model is one call from JavaScript. The layout of
// instructions is in `../numbers.ts`.
import { attention } from "./attention";
import { embedHalf, matmulInt8, quantize, quantizeRotated } from "./int8";
export {
  argmax, distribution, divide, keepFrom, keepTopK, keepTopP, largest, openRow, subtract, sumExp, topK,
} from "./logits";
import { storeKv } from "./keys-values";
import { matmul } from "./matmul";
import { isNativeKernel, runNative } from "./native";
import {
  ATTENTION_ROWS_MAX, AttentionInstruction, CopyPagesInstruction, DigestInstruction, EmbedHalfInstruction, EmbedInstruction, END,
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

/** A helper that got no item in so many steps in a row goes to sleep: it has no core, or the steps are too small to share. */
const IDLE_STEPS_MAX: i32 = 64;
/** A helper that was woken tries so many steps before it sleeps again. */
const IDLE_STEPS_AGAIN: i32 = 8;

// @ts-ignore: decorator
@inline
function opOf(instruction: usize): i32 {
  return load<i32>(instruction, INSTRUCTION_OP);
}

/**
 * The end of the chunk of items that a thread takes from `first` on. Chunks of native kernels shrink towards the end (guided
 * self-scheduling). So a thread on a busy core does not keep the others waiting. WebAssembly kernels read several streams of
 * weights side by side, which needs long chunks, so each thread gets an equal share. The cut never changes a bit.
 */
function endOfChunk(i: usize, first: i32, items: i32, parts: i32): i32 {
  const op = opOf(i);
  if (!isNativeKernel(op)) return min(items, first + (items + parts - 1) / parts);
  const least = max(1, items / (16 * parts));
  const count = max(least, (items - first) / (2 * parts));
  const unit = unitOfItems(i, op);
  return min(items, first + (count > unit ? count - (count % unit) : count));
}

/** A chunk has a multiple of so many items, if it has more than that: attention computes several whole rows together. */
function unitOfItems(i: usize, op: i32): i32 {
  if (op != OP_ATTENTION && op != OP_ATTENTION_INT8) return 1;
  // If the step is over already, any number may stand here. Then nothing is taken.
  return max(1, (ATTENTION_ROWS_MAX / 2) * changetype<AttentionInstruction>(i).heads);
}

/** Computes items `first` to `last` of an instruction, as thread `part`. */
function execute(i: usize, part: i32, first: i32, last: i32): void {
  const op = opOf(i);
  if (isNativeKernel(op)) runNative(i, part, first, last);
  else if (op == OP_MATMUL) matmul(changetype<MatmulInstruction>(i), part, first, last);
  else if (op == OP_ATTENTION) attention<f32>(changetype<AttentionInstruction>(i), part, first, last);
  else if (op == OP_ATTENTION_INT8) attention<i8>(changetype<AttentionInstruction>(i), part, first, last);
  else if (op == OP_MATMUL_INT8) matmulInt8(changetype<MatmulInt8Instruction>(i), part, first, last);
  // Here rotated activations have the layout of 14-bit ones, so one kernel serves both.
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
  // Used only while a model is loaded.
  else if (op == OP_PACK_IN_OUT) packInOut(changetype<PackInOutInstruction>(i), first, last);
  else if (op == OP_PACK_OUT_IN) packOutIn(changetype<PackOutInInstruction>(i), first, last);
  else if (op == OP_PACK_IN_OUT_INT8) packInOutInt8(changetype<PackInOutInt8Instruction>(i), part, first, last);
  else if (op == OP_PACK_OUT_IN_INT8) packOutInInt8(changetype<PackOutInInt8Instruction>(i), part, first, last);
  else if (op == OP_NARROW_HALVES) narrowHalves(changetype<NarrowHalvesInstruction>(i), first, last);
  else if (op == OP_WIDEN_HALVES) widenHalves(changetype<WidenHalvesInstruction>(i), first, last);
  else if (op == OP_WIDEN_BF16) widenBf16(changetype<WidenBf16Instruction>(i), first, last);
  else if (op == OP_DIGEST) digest(changetype<DigestInstruction>(i), first, last);
}

/** Begins the step of the first instruction from `i` on that has items. If there is none, begins the end step. */
function beginFrom(i: usize): void {
  while (opOf(i) != END && load<i32>(i, INSTRUCTION_ITEMS) == 0) i += INSTRUCTION_BYTES;
  beginStep(i, opOf(i) == END);
}

/**
 * Takes and computes items of a step until none are left. If it finishes the last one, it begins the next step. Returns whether
 * this thread got any. If the step is already over, the instruction read here is another step's. That does no harm: then
 * `firstLeft` and `take` refuse.
 */
function takePart(step: i32, part: i32, parts: i32): bool {
  const i = presentInstruction();
  const items = load<i32>(i, INSTRUCTION_ITEMS);
  let done = 0;
  for (let first = firstLeft(step, items); first >= 0; first = firstLeft(step, items)) {
    const last = endOfChunk(i, first, items, parts);
    if (!take(step, first, last, items)) continue;
    execute(i, part, first, last);
    done += last - first;
  }
  if (done > 0 && finish(done, items)) beginFrom(i + INSTRUCTION_BYTES);
  return done > 0;
}

/** Runs a program on `parts` threads, and returns when it is finished. Called by the engine thread only. */
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

/** The main loop of a helper thread: takes part in every step after step `seen`, until the engine stops. */
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
