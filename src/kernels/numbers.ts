// Every number on which TypeScript, AssemblyScript and C must agree. TypeScript imports this file. For the other two languages the
// build generates files with the same numbers (`tools/kernel-numbers.js`). `program.ts` records instructions, and `reference/`
// defines what they compute.

/** Instruction sets that native kernels are written for, the best first. */
export const INSTRUCTION_SETS = ["avx512-vnni", "avx2"] as const;
export type InstructionSet = (typeof INSTRUCTION_SETS)[number];

/** A field of a structure in linear memory. `offset`: in bytes, from the beginning of the structure. */
export interface Field {
  readonly kind: "address" | "integer" | "float" | "double";
  readonly offset: number;
}

/** The names in a text that are separated by spaces. */
type NamesIn<List extends string> = List extends `${infer First} ${infer Rest}`
  ? First | NamesIn<Rest>
  : List;
type Fields<List extends string> = Readonly<Record<NamesIn<List>, Field>>;

/** Lays out fields one after another from `begin` on. A double takes 8 bytes, at a multiple of 8. All others take 4 bytes. */
function fields<List extends string>(
  begin: number,
  lists: { readonly [kind in Field["kind"]]?: List },
): Fields<List> {
  const found: Record<string, Field> = {};
  let end = begin;
  for (const kind of ["address", "integer", "float", "double"] as const) {
    const bytes = kind === "double" ? 8 : 4;
    for (const name of lists[kind]?.split(" ") ?? []) {
      const offset = Math.ceil(end / bytes) * bytes;
      found[name] = { kind, offset };
      end = offset + bytes;
    }
  }
  return found as Fields<List>;
}

/**
 * Byte offsets in an instruction: the kernel's number, the number of items that threads share, and the arguments.
 */
export const INSTRUCTION = { op: 0, items: 4, arguments: 8 } as const;
export const INSTRUCTION_BYTES = 64;

/**
 * `op`: the kernel's number. `sets`: the instruction sets whose native form replaces the WebAssembly one. Then lists of
 * arguments.
 */
function kernel<List extends string>(
  op: number,
  sets: readonly InstructionSet[],
  address: List,
  integer?: List,
  float?: List,
) {
  const lists = { address, ...(integer && { integer }), ...(float && { float }) };
  return { op, sets, arguments: fields<List>(INSTRUCTION.arguments, lists) } as const;
}

const X86 = INSTRUCTION_SETS;

/** The kernels. Numbers of kernels with a native form are below 32, because they are bits of a mask. */
export const KERNELS = {
  embed: kernel(1, [], "out tokens positions wte wpe", "width"),
  layerNorm: kernel(2, X86, "out x weight bias scratch", "width scratchBytes", "epsilon"),
  matmul: kernel(3, X86, "out x weight bias scratch", "rows inWidth outWidth epilogue scratchBytes"),
  storeKv: kernel(4, X86, "qkv positions pageTables pages", "heads headSize pageBytes"),
  attention: kernel(
    5,
    X86,
    "out qkv positions pageTables pages scratch",
    "heads headSize pageBytes scratchBytes",
    "scale",
  ),
  gatherRows: kernel(6, [], "out x indices", "width"),
  copyPages: kernel(7, [], "pairs pages", "pageBytes"),
  quantize: kernel(8, X86, "values scales x", "rows width"),
  matmulInt8: kernel(
    9,
    X86,
    "out x xScales weight bias scratch",
    "rows inWidth outWidth epilogue scratchBytes",
  ),
  embedHalf: kernel(10, [], "out tokens positions wte wpe", "width"),
  readMemory: kernel(11, X86, "start scratch", "scratchBytes"),
  quantizeRotated: kernel(12, X86, "values scales x scratch", "rows width scratchBytes"),
  matmulRotated: kernel(
    13,
    X86,
    "out x xScales weight bias scratch",
    "rows inWidth outWidth epilogue scratchBytes",
  ),
  storeKvInt8: kernel(14, X86, "qkv positions pageTables pages", "heads headSize pageBytes"),
  attentionInt8: kernel(
    15,
    X86,
    "out qkv positions pageTables pages scratch",
    "heads headSize pageBytes scratchBytes",
    "scale",
  ),
  // Used only while a model is loaded. See `reference/pack.ts`.
  packInOut: kernel(32, [], "weight x", "inWidth outWidth begin count"),
  packOutIn: kernel(33, [], "weight x", "inWidth begin count"),
  packInOutInt8: kernel(34, [], "weight x scratch", "inWidth outWidth begin count isRotated scratchBytes"),
  packOutInInt8: kernel(35, [], "weight x scratch", "inWidth begin isRotated scratchBytes"),
  narrowHalves: kernel(36, [], "out x tooLarge", "count"),
  widenHalves: kernel(37, [], "out x"),
  widenBf16: kernel(38, [], "out x"),
  digest: kernel(39, [], "out x", "bytes"),
} as const;
export type KernelName = keyof typeof KERNELS;

/** Stands after the last instruction, instead of a kernel's number. */
export const END = 0;

/** What a matmul does with its sums: store them, add them to the outputs, or apply an activation and store the result. */
export const EPILOGUE = {
  store: 0,
  add: 1,
  geluTanh: 2,
  geluErf: 3,
  relu: 4,
  silu: 5,
  tanh: 6,
  quickGelu: 7,
  gelu10: 8,
  reluSquared: 9,
  relu6: 10,
  leakyRelu: 11,
  sigmoid: 12,
  hardSwish: 13,
  mish: 14,
  laplace: 15,
} as const;

/** Rows of activations are padded to a multiple of so many floats, so that kernels can read and write whole vectors. */
export const ROW_UNIT = 16;

/** Outputs of one f32 weight panel. */
export const PANEL = 16;

/** Positions of one page of keys and values. The values of a position are padded to a multiple of `VALUE_UNIT`. */
export const PAGE_POSITIONS = 16;
export const VALUE_UNIT = 4;
/**
 * The largest 8-bit key or value, and the bytes of a scale (bfloat16). A position of a head has one for keys and one for values.
 */
export const KV_MAX = 127;
export const KV_SCALE_BYTES = 2;

/** 8-bit weights: how many numbers along k share a scale, and how many outputs a block has. */
export const GROUP = 64;
export const BLOCK = 16;
/**
 * A block has the first quad of all its outputs, then their second quads, and so on. So a vector has quads of several outputs.
 */
export const QUAD = 4;
/** Bytes from the beginning of a block to its scales, and bytes of a whole block. */
export const BLOCK_SCALES = BLOCK * GROUP;
export const BLOCK_BYTES = BLOCK_SCALES + 4 * BLOCK;

/**
 * The largest quantised weight (8 bits), activation (14 bits) and rotated activation (8 bits); the largest number of half
 * precision.
 */
export const WEIGHT_MAX = 127;
export const ACTIVATION_MAX = 8191;
export const ROTATED_MAX = 127;
export const HALF_MAX = 65504;
/** The most bytes that a group of quantised activations of one row takes in any build: two for each, and an integer. */
export const QUANTIZED_GROUP_BYTES = 2 * GROUP + 4;

/** Numbers in one item of the kernels that convert numbers. */
export const CONVERTED = 16;

/** Bytes that share one digest, and the bytes of a digest. */
export const DIGESTED_BYTES = 65536;
export const DIGEST_BYTES = 16;

/** Bytes of a cache line. */
export const LINE_BYTES = 64;

/** The WebAssembly matmuls: rows of a tile, and streams of weights that a thread reads in turn. The scratch has their sums. */
export const TILE_ROWS = 3;
export const STREAMS = 8;

/** The most rows that an attention kernel computes together. The scratch has their scores. */
export const ATTENTION_ROWS_MAX = 8;

/**
 * Byte offsets in the threads' control block, at the beginning of linear memory. Words that threads wait for are on different
 * cache lines. See `wasm/threads.ts`.
 */
export const CONTROL = {
  programs: 64,
  programSleepers: 68,
  stop: 72,
  step: 128,
  taken: 192,
  instruction: 200,
  endStep: 204,
  done: 256,
  stepSleepers: 320,
} as const;
export const CONTROL_BYTES = 384;

/**
 * Sums over a row of logits with a native form. They run on the calling thread, outside of any program: the weight of each
 * value, the sum of all weights, and the sum of the weights whose values are above a bound.
 */
export const ROW_SUMS = {
  weights: { op: 0, sets: X86 },
  total: { op: 1, sets: X86 },
  above: { op: 2, sets: X86 },
} as const;

/**
 * The structure at the beginning of the scratch for rows of logits. `ids` is the address of the remaining tokens of the row at
 * `owner`, and `known` is their number. The others are the arguments and the result of a sum: it reads `count` floats at
 * `input` and doubles at `masses`, and uses `bound`. See `wasm/logits.ts`.
 */
export const ROW_SCRATCH = fields(0, {
  address: "owner values ids masses input",
  integer: "known count",
  double: "bound result",
});
export const ROW_SCRATCH_BYTES = 64;
