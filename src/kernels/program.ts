// The interface between the model and the kernels. The model records kernels as a program in shared memory, and runs it as a
// whole. `wasm/index.ts` and `reference/kernels.ts` interpret the program. The layout of an instruction, and every other number
// that they share, is in `numbers.ts`.
import type { LogitsRow } from "./logits-row.ts";
import type { Arena, LinearMemory } from "./memory.ts";
import { rowStride } from "./memory.ts";
import {
  ATTENTION_ROWS_MAX,
  BLOCK,
  CONVERTED,
  DIGESTED_BYTES,
  END,
  EPILOGUE,
  GROUP,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  KERNELS,
  type KernelName,
  KV_SCALE_BYTES,
  LINE_BYTES,
  PAGE_POSITIONS,
  PANEL,
  QUAD,
  QUANTIZED_GROUP_BYTES,
  ROW_SCRATCH_BYTES,
  STREAMS,
  TILE_ROWS,
  VALUE_UNIT,
} from "./numbers.ts";

/** The offset in a block of the k-th weight of output `lane`. A block is [16 quads of k][16 outputs][4 k]. */
export function blockByte(k: number, lane: number): number {
  return (Math.floor(k / QUAD) * BLOCK + lane) * QUAD + (k % QUAD);
}

/** Activations by their names in config.json. `gelu_fast` is also the tanh form. */
export const ACTIVATIONS = {
  gelu_new: EPILOGUE.geluTanh,
  gelu_pytorch_tanh: EPILOGUE.geluTanh,
  gelu_fast: EPILOGUE.geluTanh,
  gelu: EPILOGUE.geluErf,
  relu: EPILOGUE.relu,
  silu: EPILOGUE.silu,
  swish: EPILOGUE.silu,
  tanh: EPILOGUE.tanh,
  quick_gelu: EPILOGUE.quickGelu,
  gelu_10: EPILOGUE.gelu10,
  relu2: EPILOGUE.reluSquared,
  relu6: EPILOGUE.relu6,
  leaky_relu: EPILOGUE.leakyRelu,
  linear: EPILOGUE.store,
  sigmoid: EPILOGUE.sigmoid,
  hardswish: EPILOGUE.hardSwish,
  mish: EPILOGUE.mish,
  laplace: EPILOGUE.laplace,
} as const;

export type Activation = keyof typeof ACTIVATIONS;

/** What a matmul does with its sums: store them, add them to the outputs, or apply an activation and store the result. */
export type Epilogue = "store" | "add" | Activation;

function epilogueNumber(epilogue: Epilogue): number {
  return epilogue === "store" || epilogue === "add" ? EPILOGUE[epilogue] : ACTIVATIONS[epilogue];
}

/** A token embedding: f32 in panels, as the f32 output head reads it, or half precision in rows. */
export interface Embedding {
  readonly kind: "panels" | "half";
  readonly address: number;
}

/**
 * How a matrix is stored and multiplied.
 * - `f32`: f32 weights in panels of 16 outputs.
 * - `int8`: 8-bit weights in blocks of 16 outputs by a group, with 14-bit activations.
 * - `rotated`: the same blocks, but of rotated groups (`reference/rotation.ts`), with 8-bit activations that are rotated too.
 */
export type LinearKind = "f32" | QuantizedKind;
export type QuantizedKind = "int8" | "rotated";

/** y = x·W + b */
export interface Linear {
  readonly kind: LinearKind;
  readonly weight: number;
  /** 0: there is none. */
  readonly bias: number;
  readonly inWidth: number;
  readonly outWidth: number;
}

/** Rows of activations, each of `width` numbers. */
interface Rows {
  readonly rows: number;
  readonly width: number;
}

/** Consecutive rows of a stored matrix. */
export interface Piece {
  readonly begin: number;
  readonly count: number;
}

/** Addresses of quantised activations: `QUANTIZED_GROUP_BYTES` for each group of each row, and a scale for each group. */
export interface Quantized {
  readonly values: number;
  readonly scales: number;
}

/** Reserves room for quantised activations of [rows, width]. */
export function allocateQuantized(arena: Arena, { rows, width }: Rows): Quantized {
  const groups = rows * Math.ceil(width / GROUP);
  return { values: arena.allocate(QUANTIZED_GROUP_BYTES * groups), scales: arena.floats(groups) };
}

/** How keys and values are stored. `int8`: each position of a head has a scale for its keys and one for its values. */
export type KvKind = "f32" | "int8";

/** Where the keys and values of one layer are. A page has all layers, one after another. */
export interface KvLayer {
  readonly kind: KvKind;
  /** The address of this layer in page 0. */
  readonly address: number;
  readonly pageBytes: number;
  readonly heads: number;
  readonly headSize: number;
}

/**
 * Addresses of three lists with an entry for each row of a pass: token ids, positions, addresses of the sequence's page numbers.
 */
export interface RowTable {
  readonly tokens: number;
  readonly positions: number;
  readonly pageTables: number;
  readonly rows: number;
}

/** How many numbers the values of one position of a head take, padding included. */
export function valueStride(headSize: number): number {
  return Math.ceil(headSize / VALUE_UNIT) * VALUE_UNIT;
}

/**
 * Bytes of one head of one layer in a page: keys [d][16 positions] and values [16 positions][d rounded up to 4]. With 8 bits the
 * last bytes are the scales of the keys, [16 positions], and of the values, and the size is whole cache lines.
 */
export function headBytes(kind: KvKind, headSize: number): number {
  const numbers = (headSize + valueStride(headSize)) * PAGE_POSITIONS;
  if (kind === "f32") return 4 * numbers;
  return Math.ceil((numbers + 2 * KV_SCALE_BYTES * PAGE_POSITIONS) / LINE_BYTES) * LINE_BYTES;
}

/** The address of a row of logits, and of a scratch of `logitsScratchBytes` that all rows share. */
export interface LogitsPlace {
  readonly address: number;
  readonly width: number;
  readonly scratch: number;
}

/** The scratch has a `ROW_SCRATCH`, and room for the values, ids and weights (doubles) of all tokens of a row. */
export function logitsScratchBytes(width: number): number {
  return ROW_SCRATCH_BYTES + (4 + 4 + 8) * rowStride(width);
}

/** Runs a recorded program to its end. Implementations: `reference/kernels.ts` (plain TypeScript), `host/executor.ts`. */
export interface Executor {
  readonly name: string;
  readonly memory: LinearMemory;
  /** Resolves when all threads run. Rejects when one ends before that. */
  readonly ready: Promise<void>;
  run(program: number): void;
  /** The row of logits at a place, as `decoding/` uses it after the pass. */
  logitsRow(place: LogitsPlace): LogitsRow;
  close(): Promise<void>;
}

/** Memory that a program needs besides its operands. */
export interface ProgramSpace {
  /** Of the instructions. There is room for `maxInstructions`. */
  readonly address: number;
  readonly maxInstructions: number;
  /** Of the scratch of thread 0. Each thread has `scratchBytes`. */
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** The sums of a matmul: a tile of rows by a panel in each stream. */
const MATMUL_SCRATCH_BYTES = 4 * TILE_ROWS * PANEL * STREAMS;

/**
 * Lays out room for a program, and the threads' scratch. That must hold the sums of a matmul, or the scores of a head over the
 * context.
 */
export function allocateProgram(
  arena: Arena,
  limits: { maxInstructions: number; contextLength: number; threads: number },
): ProgramSpace {
  const scratchBytes = Math.max(
    MATMUL_SCRATCH_BYTES,
    4 * ATTENTION_ROWS_MAX * rowStride(limits.contextLength),
  );
  return {
    address: arena.allocate(limits.maxInstructions * INSTRUCTION_BYTES),
    maxInstructions: limits.maxInstructions,
    scratch: arena.allocate(scratchBytes * limits.threads),
    scratchBytes,
  };
}

/**
 * The kernels, as methods that record an instruction. Addresses are byte offsets. Activations are rows of `rowStride(width)`
 * floats. Nothing is computed before `run()`.
 */
export class Kernels {
  readonly memory: LinearMemory;
  readonly #executor: Executor;
  readonly #space: ProgramSpace;
  #count = 0;

  constructor(executor: Executor, space: ProgramSpace) {
    this.#executor = executor;
    this.memory = executor.memory;
    this.#space = space;
  }

  /** out[r] = wte[token r] + wpe[position r] */
  embed(out: number, wte: Embedding, wpe: number, width: number, rows: RowTable): void {
    const kernel = wte.kind === "half" ? "embedHalf" : "embed";
    this.#record(kernel, rows.rows, [out, rows.tokens, rows.positions, wte.address, wpe], [width]);
  }

  /** out = (x − mean) / √(variance + ε) · weight + bias, row by row. */
  layerNorm(
    out: number,
    x: number,
    norm: { weight: number; bias: number; epsilon: number },
    shape: Rows,
  ): void {
    const { scratch, scratchBytes } = this.#space;
    const addresses = [out, x, norm.weight, norm.bias, scratch];
    this.#record("layerNorm", shape.rows, addresses, [shape.width, scratchBytes], norm.epsilon);
  }

  /** out[rows, N] = epilogue(x[rows, K]·W + b), in f32. */
  matmul(out: number, x: number, linear: Linear, rows: number, epilogue: Epilogue): void {
    const { weight, bias, inWidth, outWidth } = linear;
    const { scratch, scratchBytes } = this.#space;
    const integers = [rows, inWidth, outWidth, epilogueNumber(epilogue), scratchBytes];
    this.#record("matmul", Math.ceil(outWidth / PANEL), [out, x, weight, bias, scratch], integers);
  }

  /**
   * Quantises x[rows, width] for a matrix of this kind: to 14-bit integers, or to 8-bit integers of rotated groups; and scales.
   */
  quantize(kind: QuantizedKind, to: Quantized, x: number, { rows, width }: Rows): void {
    const groups = Math.ceil(width / GROUP);
    if (kind === "int8") {
      this.#record("quantize", groups, [to.values, to.scales, x], [rows, width]);
      return;
    }
    const { scratch, scratchBytes } = this.#space;
    this.#record("quantizeRotated", groups, [to.values, to.scales, x, scratch], [rows, width, scratchBytes]);
  }

  /** out[rows, N] = epilogue(x[rows, K]·W + b) with 8-bit weights. x was quantised for their kind. */
  matmulQuantized(out: number, x: Quantized, linear: Linear, rows: number, epilogue: Epilogue): void {
    const { weight, bias, inWidth, outWidth } = linear;
    const { scratch, scratchBytes } = this.#space;
    const addresses = [out, x.values, x.scales, weight, bias, scratch];
    const integers = [rows, inWidth, outWidth, epilogueNumber(epilogue), scratchBytes];
    const kernel = linear.kind === "int8" ? "matmulInt8" : "matmulRotated";
    this.#record(kernel, Math.ceil(outWidth / BLOCK), addresses, integers);
  }

  /** Stores the keys and values of qkv[rows, 3C] in the rows' pages. */
  storeKv(qkv: number, { rows, positions, pageTables }: RowTable, kv: KvLayer): void {
    const addresses = [qkv, positions, pageTables, kv.address];
    const kernel = kv.kind === "int8" ? "storeKvInt8" : "storeKv";
    this.#record(kernel, rows * kv.heads, addresses, [kv.heads, kv.headSize, kv.pageBytes]);
  }

  /** out[rows, C] = softmax(q·Kᵀ·scale)·V over positions 0 … position of the row. */
  attention(
    out: number,
    qkv: number,
    { rows, positions, pageTables }: RowTable,
    kv: KvLayer,
    scale: number,
  ): void {
    const { scratch, scratchBytes } = this.#space;
    const addresses = [out, qkv, positions, pageTables, kv.address, scratch];
    const integers = [kv.heads, kv.headSize, kv.pageBytes, scratchBytes];
    const kernel = kv.kind === "int8" ? "attentionInt8" : "attention";
    this.#record(kernel, rows * kv.heads, addresses, integers, scale);
  }

  /** out[r] = x[indices[r]] */
  gatherRows(out: number, x: number, indices: number, shape: Rows): void {
    this.#record("gatherRows", shape.rows, [out, x, indices], [shape.width]);
  }

  /** Copies `count` pages. `pairs`: the address of (from, to) page numbers. */
  copyPages(pairs: number, count: number, pages: { address: number; pageBytes: number }): void {
    this.#record("copyPages", count, [pairs, pages.address], [pages.pageBytes]);
  }

  /** Reads about `bytes` of memory and does nothing with them. Used to measure how fast memory is. */
  readMemory(address: number, bytes: number): void {
    const { scratch, scratchBytes } = this.#space;
    this.#record("readMemory", Math.floor(bytes / LINE_BYTES), [address, scratch], [scratchBytes]);
  }

  /**
   * Packs some rows of a matrix stored [in, out]: x[count, outWidth]. For 8-bit weights `begin` is a multiple of the group, and so
   * is `count`, except in the last piece.
   */
  packInOut({ kind, weight, inWidth, outWidth }: Linear, x: number, { begin, count }: Piece): void {
    const integers = [inWidth, outWidth, begin, count];
    if (kind === "f32") {
      this.#record("packInOut", Math.ceil(outWidth / PANEL), [weight, x], integers);
      return;
    }
    const { scratch, scratchBytes } = this.#space;
    integers.push(kind === "rotated" ? 1 : 0, scratchBytes);
    this.#record("packInOutInt8", Math.ceil(outWidth / BLOCK), [weight, x, scratch], integers);
  }

  /** Packs some outputs of a matrix stored [out, in]: x[count, inWidth]. `begin` is a multiple of the panel. */
  packOutIn({ kind, weight, inWidth }: Linear, x: number, { begin, count }: Piece): void {
    if (kind === "f32") {
      this.#record("packOutIn", Math.ceil(count / PANEL), [weight, x], [inWidth, begin, count]);
      return;
    }
    const { scratch, scratchBytes } = this.#space;
    const integers = [inWidth, begin, kind === "rotated" ? 1 : 0, scratchBytes];
    this.#record("packOutInInt8", count, [weight, x, scratch], integers);
  }

  /** out[count] = x[count] in half precision. If a number is too large for that, it is stored at `tooLarge`. */
  narrowHalves(out: number, x: number, count: number, tooLarge: number): void {
    this.#record("narrowHalves", Math.ceil(count / CONVERTED), [out, x, tooLarge], [count]);
  }

  /** out[count] = x[count] in f32, from half precision or bfloat16. Writes whole items of `CONVERTED` numbers. */
  widen(from: "F16" | "BF16", out: number, x: number, count: number): void {
    this.#record(from === "F16" ? "widenHalves" : "widenBf16", Math.ceil(count / CONVERTED), [out, x]);
  }

  /** Computes a digest of `DIGEST_BYTES` for each `DIGESTED_BYTES` of `bytes`, a multiple of 64. It changes with every bit. */
  digest(out: number, x: number, bytes: number): void {
    this.#record("digest", Math.ceil(bytes / DIGESTED_BYTES), [out, x], [bytes]);
  }

  /** Runs the recorded instructions, and begins a new program. */
  run(): void {
    this.memory.i32[this.#wordOf(this.#count)] = END;
    this.#count = 0;
    this.#executor.run(this.#space.address);
  }

  /** Ends the threads that run programs. */
  close(): Promise<void> {
    return this.#executor.close();
  }

  /** Records an instruction. The arguments of each kind are in the order of `KERNELS`. */
  #record(
    kernel: KernelName,
    items: number,
    addresses: readonly number[],
    integers: readonly number[] = [],
    float?: number,
  ): void {
    const begin = this.#wordOf(this.#count);
    this.#count += 1;
    if (this.#count >= this.#space.maxInstructions) throw new Error("the kernel program is full");
    // A pass records about 150 instructions. Iterators would take as long as a layer of the model, so these are plain loops.
    const { i32, f32 } = this.memory;
    i32[begin + INSTRUCTION.op / 4] = KERNELS[kernel].op;
    i32[begin + INSTRUCTION.items / 4] = items;
    let at = begin + INSTRUCTION.arguments / 4;
    for (let i = 0; i < addresses.length; i++, at++) i32[at] = addresses[i] as number;
    for (let i = 0; i < integers.length; i++, at++) i32[at] = integers[i] as number;
    if (float !== undefined) f32[at] = float;
  }

  /** The index of an instruction's first word. */
  #wordOf(instruction: number): number {
    return (this.#space.address + instruction * INSTRUCTION_BYTES) >>> 2;
  }
}
