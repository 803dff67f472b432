// The seam between the model and its compute: kernels, recorded as a program in shared memory and run as a whole. Every thread
// does its share of every kernel. `wasm/index.ts` and `reference/kernels.ts` read what is recorded here; how an instruction is
// laid out, and every other number that they share, stands in `numbers.ts`.
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
  ROW_SCRATCH_BYTES,
  STREAMS,
  TILE_ROWS,
  VALUE_UNIT,
} from "./numbers.ts";

/** Where the weight of the k-th value of a group and of an output (`lane`) lies in a block: [16][16 outputs][4 k]. */
export function blockByte(k: number, lane: number): number {
  return (Math.floor(k / QUAD) * BLOCK + lane) * QUAD + (k % QUAD);
}

/** Activations by the names of config.json; `gelu_fast` is the tanh form once more. */
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

/** What a matmul does with its sums: overwrite, add to what is there, or apply an activation. */
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
 * How a matrix multiplies: with f32 weights in panels of outputs, or with 8-bit weights in blocks of outputs by a group. Of these,
 * `int8` takes 14-bit activations; `rotated` has groups rotated (`reference/rotation.ts`), and takes 8-bit activations that
 * are rotated alike.
 */
export type LinearKind = "f32" | QuantizedKind;
export type QuantizedKind = "int8" | "rotated";

/** y = x·W + b */
export interface Linear {
  readonly kind: LinearKind;
  readonly weight: number;
  /** 0: none. */
  readonly bias: number;
  readonly inWidth: number;
  readonly outWidth: number;
}

/** Rows of activations, each of `width` numbers. */
interface Rows {
  readonly rows: number;
  readonly width: number;
}

/** Some of the rows of a matrix, as it is stored. */
export interface Piece {
  readonly begin: number;
  readonly count: number;
}

/** Quantised activations: two bytes for each of [B, K rounded up to whole groups], and a scale for each group. */
export interface Quantized {
  readonly values: number;
  readonly scales: number;
}

/** How keys and values are kept: as they are, or in 8 bits with a scale for the keys and one for the values of a position and head. */
export type KvKind = "f32" | "int8";

/** Where the keys and values of one layer lie; a page holds all layers, one after the other. */
export interface KvLayer {
  readonly kind: KvKind;
  /** Address of this layer inside page 0. */
  readonly address: number;
  readonly pageBytes: number;
  readonly heads: number;
  readonly headSize: number;
}

/** The rows of one step: token ids, positions and, for each row, the address of its sequence's page numbers. */
export interface RowTable {
  readonly tokens: number;
  readonly positions: number;
  readonly pageTables: number;
  readonly rows: number;
}

/** Numbers from the values of one position of a head to those of the next. */
export function valueStride(headSize: number): number {
  return Math.ceil(headSize / VALUE_UNIT) * VALUE_UNIT;
}

/**
 * Bytes that one head of one layer takes in a page: keys [d][16 positions] and values [16 positions][d rounded up to 4]. 8-bit
 * ones take whole lines of the cache, at whose end are the scales of the keys, [16 positions], and those of the values.
 */
export function headBytes(kind: KvKind, headSize: number): number {
  const numbers = (headSize + valueStride(headSize)) * PAGE_POSITIONS;
  if (kind === "f32") return 4 * numbers;
  return Math.ceil((numbers + 2 * KV_SCALE_BYTES * PAGE_POSITIONS) / LINE_BYTES) * LINE_BYTES;
}

/** Where a row of logits lies, and a scratch of `logitsScratchBytes` for rows up to this width, which they share. */
export interface LogitsPlace {
  readonly address: number;
  readonly width: number;
  readonly scratch: number;
}

/** A head that names what follows: values, ids and weights (doubles) of all tokens of a row. See `wasm/logits.ts`. */
export function logitsScratchBytes(width: number): number {
  return ROW_SCRATCH_BYTES + (4 + 4 + 8) * rowStride(width);
}

/** Runs a recorded program to its end. Implementations: `reference/kernels.ts` (plain TypeScript), `host/executor.ts`. */
export interface Executor {
  readonly name: string;
  readonly memory: LinearMemory;
  /** Resolves when all threads run; rejects when one ends before. */
  readonly ready: Promise<void>;
  run(program: number): void;
  /** The row of logits that lies at a place, for everything that comes after the pass. */
  logitsRow(place: LogitsPlace): LogitsRow;
  close(): Promise<void>;
}

/** Addresses that a program needs besides its operands. */
export interface ProgramSpace {
  /** Room for `maxInstructions` instructions. */
  readonly address: number;
  readonly maxInstructions: number;
  /** Scratch of each thread, `scratchBytes` apart. */
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** Sums of a matmul: a tile of rows by a panel of outputs in each stream. */
const MATMUL_SCRATCH_BYTES = 4 * TILE_ROWS * PANEL * STREAMS;

/** Lays out a program buffer and the threads' scratch: scores of one head over the whole context, sums of a matmul. */
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
 * The kernels, as methods that record. Addresses are byte offsets; activations are rows of `rowStride(width)` floats.
 * Nothing is computed before `run()`.
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

  /** x[rows, width] as a matrix of this kind takes it: 14-bit integers, or 8-bit ones of rotated groups, and groups' scales. */
  quantize(kind: QuantizedKind, to: Quantized, x: number, { rows, width }: Rows): void {
    const groups = Math.ceil(width / GROUP);
    if (kind === "int8") {
      this.#record("quantize", groups, [to.values, to.scales, x], [rows, width]);
      return;
    }
    const { scratch, scratchBytes } = this.#space;
    this.#record("quantizeRotated", groups, [to.values, to.scales, x, scratch], [rows, width, scratchBytes]);
  }

  /** out[rows, N] = epilogue(x[rows, K]·W + b) with 8-bit weights, and x quantised for their kind. */
  matmulQuantized(out: number, x: Quantized, linear: Linear, rows: number, epilogue: Epilogue): void {
    const { weight, bias, inWidth, outWidth } = linear;
    const { scratch, scratchBytes } = this.#space;
    const addresses = [out, x.values, x.scales, weight, bias, scratch];
    const integers = [rows, inWidth, outWidth, epilogueNumber(epilogue), scratchBytes];
    const kernel = linear.kind === "int8" ? "matmulInt8" : "matmulRotated";
    this.#record(kernel, Math.ceil(outWidth / BLOCK), addresses, integers);
  }

  /** Writes the keys and values of qkv[rows, 3C] to the rows' pages. */
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

  /** Copies `count` pages; `pairs` holds (from, to) page numbers. */
  copyPages(pairs: number, count: number, pages: { address: number; pageBytes: number }): void {
    this.#record("copyPages", count, [pairs, pages.address], [pages.pageBytes]);
  }

  /** Reads about `bytes` of memory, whole cache lines of each thread's streams, and nothing else: how fast memory is. */
  readMemory(address: number, bytes: number): void {
    const { scratch, scratchBytes } = this.#space;
    this.#record("readMemory", Math.floor(bytes / LINE_BYTES), [address, scratch], [scratchBytes]);
  }

  /**
   * Rows of a matrix stored [in, out], x[count, outWidth], to their places in a packed one. For 8-bit weights `begin` is
   * a multiple of the group, and so is `count` unless it is the last piece.
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

  /** The same for a matrix stored [out, in], x[count, inWidth]; `begin` is a multiple of the panel. */
  packOutIn({ kind, weight, inWidth }: Linear, x: number, { begin, count }: Piece): void {
    if (kind === "f32") {
      this.#record("packOutIn", Math.ceil(count / PANEL), [weight, x], [inWidth, begin, count]);
      return;
    }
    const { scratch, scratchBytes } = this.#space;
    const integers = [inWidth, begin, kind === "rotated" ? 1 : 0, scratchBytes];
    this.#record("packOutInInt8", count, [weight, x, scratch], integers);
  }

  /** out[count] = x[count] in half precision; a number that is too large for it is put at `tooLarge`. */
  narrowHalves(out: number, x: number, count: number, tooLarge: number): void {
    this.#record("narrowHalves", Math.ceil(count / CONVERTED), [out, x, tooLarge], [count]);
  }

  /** out[count] = x[count] in f32, from half precision or bfloat16; up to a whole item is written. */
  widen(from: "F16" | "BF16", out: number, x: number, count: number): void {
    this.#record(from === "F16" ? "widenHalves" : "widenBf16", Math.ceil(count / CONVERTED), [out, x]);
  }

  /** out: `DIGEST_BYTES` for each `DIGESTED_BYTES` of `bytes`, a multiple of 64, which change with any bit of them. */
  digest(out: number, x: number, bytes: number): void {
    this.#record("digest", Math.ceil(bytes / DIGESTED_BYTES), [out, x], [bytes]);
  }

  /** Runs what was recorded and forgets it. */
  run(): void {
    this.memory.i32[this.#wordOf(this.#count)] = END;
    this.#count = 0;
    this.#executor.run(this.#space.address);
  }

  /** Ends the threads that run programs. */
  close(): Promise<void> {
    return this.#executor.close();
  }

  /** The arguments, by kind, in the order in which `KERNELS` names them. */
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
    // A pass records some hundred and fifty of these: plain stores, since iterators would take as long as a layer.
    const { i32, f32 } = this.memory;
    i32[begin + INSTRUCTION.op / 4] = KERNELS[kernel].op;
    i32[begin + INSTRUCTION.items / 4] = items;
    let at = begin + INSTRUCTION.arguments / 4;
    for (let i = 0; i < addresses.length; i++, at++) i32[at] = addresses[i] as number;
    for (let i = 0; i < integers.length; i++, at++) i32[at] = integers[i] as number;
    if (float !== undefined) f32[at] = float;
  }

  /** Where an instruction begins, as an index of words. */
  #wordOf(instruction: number): number {
    return (this.#space.address + instruction * INSTRUCTION_BYTES) >>> 2;
  }
}
