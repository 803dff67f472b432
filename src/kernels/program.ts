// The seam between the model and its compute: a dozen kernels, recorded as a program in shared memory and run as a
// whole, each thread doing its share of every kernel. An instruction is 16 words: the kernel's number, the number of
// items that may be shared out, then the arguments; in the last word threads count the items that are taken.
// `wasm/index.ts` and `reference.ts` read the same layout.
import type { LogitsRow } from "./logits-row.ts";
import type { Arena, LinearMemory } from "./memory.ts";
import { rowStride } from "./memory.ts";

export const OP = {
  end: 0,
  embed: 1,
  layerNorm: 2,
  matmul: 3,
  storeKv: 4,
  attention: 5,
  gatherRows: 6,
  copyPages: 7,
  quantize: 8,
  matmulInt8: 9,
  embedHalf: 10,
  readMemory: 11,
  // Sums over a row of logits, for native kernels; in no program: `wasm/native.ts` asks for them.
  weigh: 12,
  sumExp: 13,
  massAbove: 14,
  // While a model is loaded; see `reference-pack.ts`.
  packInOut: 32,
  packOutIn: 33,
  packInOutInt8: 34,
  packOutInInt8: 35,
  narrowHalves: 36,
  widenHalves: 37,
  widenBf16: 38,
  digest: 39,
} as const;

export const INSTRUCTION_WORDS = 16;

/** Outputs of one f32 weight panel, and positions of one KV page: the widths that kernels are written for. */
export const PANEL = 16;
export const PAGE_POSITIONS = 16;

/** 8-bit weights: values that share a scale, outputs of one block, and its bytes: 16 × 64 weights, 16 scales. */
export const GROUP = 64;
export const BLOCK = 16;
export const BLOCK_BYTES = BLOCK * GROUP + 4 * BLOCK;

/** Where the weight of the k-th value of a group and of an output (`lane`) lies in a block: [16][16 outputs][4 k]. */
export function blockByte(k: number, lane: number): number {
  return ((k >> 2) * BLOCK + lane) * 4 + (k & 3);
}

/** The largest quantised weight (8 bits) and activation (14 bits). */
export const WEIGHT_MAX = 127;
export const ACTIVATION_MAX = 8191;

/** Words of the threads' control block: the same as in `wasm/threads.ts`. */
export const CONTROL = { generation: 64, stop: 76 } as const;

/** Activations by the names of config.json, as kernel numbers; `gelu_fast` is the tanh form once more. */
export const ACTIVATIONS = {
  gelu_new: 2,
  gelu_pytorch_tanh: 2,
  gelu_fast: 2,
  gelu: 3,
  relu: 4,
  silu: 5,
  swish: 5,
  tanh: 6,
  quick_gelu: 7,
} as const;

export type Activation = keyof typeof ACTIVATIONS;

/** What a matmul does with its sums: overwrite, add to what is there, or apply an activation. */
export type Epilogue = "store" | "add" | Activation;

function epilogueNumber(epilogue: Epilogue): number {
  if (epilogue === "store") return 0;
  return epilogue === "add" ? 1 : ACTIVATIONS[epilogue];
}

/** A token embedding: f32 in panels, as the f32 output head reads it, or half precision in rows. */
export interface Embedding {
  readonly kind: "panels" | "half";
  readonly address: number;
}

/** y = x·W + b: f32 weights in panels of 16 outputs, or 8-bit weights in blocks of 16 outputs by a group of 64. */
export interface Linear {
  readonly kind: "f32" | "int8";
  readonly weight: number;
  /** 0: none. */
  readonly bias: number;
  readonly inWidth: number;
  readonly outWidth: number;
}

/** Some of the rows of a matrix, as it is stored. */
export interface Piece {
  readonly begin: number;
  readonly count: number;
}

/** Bytes that share one digest, and the bytes of that. */
export const DIGESTED_BYTES = 65536;
export const DIGEST_BYTES = 16;

/** Quantised activations: [B, K rounded up to 64] 16-bit integers and a scale for each 64. */
export interface Quantized {
  readonly values: number;
  readonly scales: number;
}

/** Where the keys and values of one layer lie; a page holds all layers, one after the other. */
export interface KvLayer {
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

/** Floats that one head of one layer takes in a page: keys [d][16] and values [16][d rounded up to 4]. */
export function headFloats(headSize: number): number {
  return (headSize + ((headSize + 3) & ~3)) * PAGE_POSITIONS;
}

/** Where a row of logits lies, and a scratch of `logitsScratchBytes` that all rows share. */
export interface LogitsPlace {
  readonly address: number;
  readonly width: number;
  readonly scratch: number;
}

/** Values, ids and weights of all tokens of a row. */
export function logitsScratchBytes(width: number): number {
  return 16 * rowStride(width);
}

/** Runs a recorded program to its end. Implementations: `reference.ts` (plain TypeScript), `wasm.ts`. */
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

/** Sums of a matmul: 3 rows by a panel of outputs in each of 8 streams. */
const MATMUL_SCRATCH_BYTES = 4 * 3 * PANEL * 8;

/** Rows whose scores one thread may hold at a time. */
const ATTENTION_ROWS = 4;

/** Lays out a program buffer and the threads' scratch: scores of one head over the whole context, sums of a matmul. */
export function allocateProgram(
  arena: Arena,
  limits: { maxInstructions: number; contextLength: number; threads: number },
): ProgramSpace {
  const scratchBytes = Math.max(MATMUL_SCRATCH_BYTES, 4 * ATTENTION_ROWS * rowStride(limits.contextLength));
  return {
    address: arena.allocate(limits.maxInstructions * INSTRUCTION_WORDS * 4),
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
    const op = wte.kind === "half" ? OP.embedHalf : OP.embed;
    this.#record(op, rows.rows, [out, rows.tokens, rows.positions, wte.address, wpe, width]);
  }

  /** out = (x − mean) / √(variance + ε) · weight + bias, row by row. */
  layerNorm(
    out: number,
    x: number,
    norm: { weight: number; bias: number; epsilon: number },
    shape: { rows: number; width: number },
  ): void {
    const { scratch, scratchBytes } = this.#space;
    const args = [out, x, norm.weight, norm.bias, shape.width, 0, scratch, scratchBytes];
    this.#float(this.#record(OP.layerNorm, shape.rows, args), 7, norm.epsilon);
  }

  /** out[rows, N] = epilogue(x[rows, K]·W + b), in f32. */
  matmul(out: number, x: number, linear: Linear, rows: number, epilogue: Epilogue): void {
    const { weight, bias, inWidth, outWidth } = linear;
    const panels = Math.ceil(outWidth / PANEL);
    const { scratch, scratchBytes } = this.#space;
    this.#record(OP.matmul, panels, [
      ...[out, x, weight, bias, rows, inWidth, outWidth, epilogueNumber(epilogue)],
      ...[scratch, scratchBytes],
    ]);
  }

  /** x[rows, width] as 14-bit integers with a scale for each group of 64. */
  quantize(to: Quantized, x: number, shape: { rows: number; width: number }): void {
    const args = [to.values, to.scales, x, shape.width, shape.rows];
    this.#record(OP.quantize, Math.ceil(shape.width / GROUP), args);
  }

  /** out[rows, N] = epilogue(x[rows, K]·W + b) with 8-bit weights and quantised x. */
  matmulInt8(out: number, x: Quantized, linear: Linear, rows: number, epilogue: Epilogue): void {
    const { weight, bias, inWidth, outWidth } = linear;
    const blocks = Math.ceil(outWidth / BLOCK);
    const { scratch, scratchBytes } = this.#space;
    this.#record(OP.matmulInt8, blocks, [
      ...[out, x.values, x.scales, weight, bias, rows, inWidth, outWidth, epilogueNumber(epilogue)],
      ...[scratch, scratchBytes],
    ]);
  }

  /** Writes the keys and values of qkv[rows, 3C] to the rows' pages. */
  storeKv(qkv: number, rows: RowTable, kv: KvLayer): void {
    const args = [qkv, rows.positions, rows.pageTables, kv.heads, kv.headSize, kv.address, kv.pageBytes];
    this.#record(OP.storeKv, rows.rows * kv.heads, args);
  }

  /** out[rows, C] = softmax(q·Kᵀ·scale)·V over positions 0 … position of the row. */
  attention(out: number, qkv: number, rows: RowTable, kv: KvLayer, scale: number): void {
    const { scratch, scratchBytes } = this.#space;
    const at = this.#record(OP.attention, rows.rows * kv.heads, [
      ...[out, qkv, rows.positions, rows.pageTables, kv.heads, kv.headSize, 0],
      ...[kv.address, kv.pageBytes, scratch, scratchBytes],
    ]);
    this.#float(at, 8, scale);
  }

  /** out[r] = x[indices[r]] */
  gatherRows(out: number, x: number, indices: number, shape: { rows: number; width: number }): void {
    this.#record(OP.gatherRows, shape.rows, [out, x, indices, shape.width]);
  }

  /** Copies `count` pages; `pairs` holds (from, to) page numbers. */
  copyPages(pairs: number, count: number, pages: { address: number; pageBytes: number }): void {
    this.#record(OP.copyPages, count, [pairs, pages.address, pages.pageBytes]);
  }

  /** Reads about `bytes` of memory, whole lines of each thread's streams, and nothing else: how fast memory is. */
  readMemory(address: number, bytes: number): void {
    const { scratch, scratchBytes } = this.#space;
    this.#record(OP.readMemory, bytes / 64, [address, scratch, scratchBytes]);
  }

  /**
   * Rows of a matrix stored [in, out], x[count, outWidth], to their places in a packed one. For 8-bit weights `begin` is
   * a multiple of 64, and so is `count` unless it is the last piece.
   */
  packInOut({ kind, weight, inWidth, outWidth }: Linear, x: number, { begin, count }: Piece): void {
    const op = kind === "int8" ? OP.packInOutInt8 : OP.packInOut;
    this.#record(op, Math.ceil(outWidth / PANEL), [weight, x, inWidth, outWidth, begin, count]);
  }

  /** The same for a matrix stored [out, in], x[count, inWidth]; `begin` is a multiple of 16. */
  packOutIn({ kind, weight, inWidth }: Linear, x: number, { begin, count }: Piece): void {
    if (kind === "int8") this.#record(OP.packOutInInt8, count, [weight, x, inWidth, begin]);
    else this.#record(OP.packOutIn, Math.ceil(count / PANEL), [weight, x, inWidth, begin, count]);
  }

  /** out[count] = x[count] in half precision; a number that is too large for it is put at `tooLarge`. */
  narrowHalves(out: number, x: number, count: number, tooLarge: number): void {
    this.#record(OP.narrowHalves, Math.ceil(count / 16), [out, x, count, tooLarge]);
  }

  /** out[count] = x[count] in f32, from half precision or bfloat16; up to a multiple of 16 is written. */
  widen(from: "F16" | "BF16", out: number, x: number, count: number): void {
    this.#record(from === "F16" ? OP.widenHalves : OP.widenBf16, Math.ceil(count / 16), [out, x]);
  }

  /** out: `DIGEST_BYTES` for each `DIGESTED_BYTES` of `bytes`, a multiple of 64, that tell of any change in them. */
  digest(out: number, x: number, bytes: number): void {
    this.#record(OP.digest, Math.ceil(bytes / DIGESTED_BYTES), [out, x, bytes]);
  }

  /** Runs what was recorded and forgets it. */
  run(): void {
    this.#word(this.#count, 0, OP.end);
    this.#count = 0;
    this.#executor.run(this.#space.address);
  }

  /** Ends the threads that run programs. */
  close(): Promise<void> {
    return this.#executor.close();
  }

  #record(op: number, items: number, args: readonly number[]): number {
    const index = this.#count;
    this.#count += 1;
    if (this.#count >= this.#space.maxInstructions) throw new Error("the kernel program is full");
    // A pass records some hundred and fifty of these: plain stores, since iterators would take as long as a layer.
    const { i32 } = this.memory;
    const at = (this.#space.address >>> 2) + index * INSTRUCTION_WORDS;
    i32[at] = op;
    i32[at + 1] = items;
    for (let i = 0; i < args.length; i++) i32[at + 2 + i] = args[i] as number;
    i32[at + INSTRUCTION_WORDS - 1] = 0;
    return index;
  }

  #word(instruction: number, word: number, value: number): void {
    this.memory.i32[(this.#space.address >>> 2) + instruction * INSTRUCTION_WORDS + word] = value;
  }

  #float(instruction: number, word: number, value: number): void {
    this.memory.f32[(this.#space.address >>> 2) + instruction * INSTRUCTION_WORDS + word] = value;
  }
}
