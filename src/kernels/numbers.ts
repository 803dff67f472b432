// Every number on which the kernels' three languages must agree, once. TypeScript imports this file; for AssemblyScript and
// C the build writes the same numbers down (`tools/kernel-numbers.js`). What they are for stands elsewhere: `program.ts`
// records instructions, `reference/` defines what they compute.

/** Instruction sets that native kernels are written for, the best first. */
export const INSTRUCTION_SETS = ["avx512-vnni", "avx2"] as const;
export type InstructionSet = (typeof INSTRUCTION_SETS)[number];

/** A number in linear memory, `offset` bytes after the beginning of its structure. */
export interface Field {
  readonly kind: "address" | "integer" | "float" | "double";
  readonly offset: number;
}

/** The names in a list with spaces between them. */
type NamesIn<List extends string> = List extends `${infer First} ${infer Rest}`
  ? First | NamesIn<Rest>
  : List;
type Fields<List extends string> = Readonly<Record<NamesIn<List>, Field>>;

/** Fields one after the other, from `begin` on: a double has 8 bytes and lies at a multiple of 8, all others have 4. */
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
 * An instruction, in bytes: the kernel's number, how many items may be shared out among the threads, the arguments.
 */
export const INSTRUCTION = { op: 0, items: 4, arguments: 8 } as const;
export const INSTRUCTION_BYTES = 64;

/** `sets`: the instruction sets whose native form takes the place of the WebAssembly one. */
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

/** The kernels: number, native forms, and the names of the arguments: addresses, integers, floats. Native ones: below 32. */
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
  // While a model is loaded; see `reference/pack.ts`.
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

/** Stands in the place of a kernel's number after the last instruction. */
export const END = 0;

/** What a matmul does with its sums: overwrite, add to what is there, or apply an activation and overwrite. */
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

/** Rows of activations begin at multiples of so many floats, so that kernels may read and write whole vectors. */
export const ROW_UNIT = 16;

/** Outputs of one f32 weight panel. */
export const PANEL = 16;

/** Positions of one page of keys and values. The values of a position are padded to whole vectors of `VALUE_UNIT`. */
export const PAGE_POSITIONS = 16;
export const VALUE_UNIT = 4;
/** 8-bit keys and values: the largest one, and the bytes of the scale (bfloat16) of a position's keys or values. */
export const KV_MAX = 127;
export const KV_SCALE_BYTES = 2;

/** 8-bit weights: values along k that share a scale, and outputs of one block. */
export const GROUP = 64;
export const BLOCK = 16;
/** A block's weights are a quad of each output, then the next quads, so that one vector holds quads of several outputs. */
export const QUAD = 4;
/** Bytes from the beginning of a block to its scales, and in all. */
export const BLOCK_SCALES = BLOCK * GROUP;
export const BLOCK_BYTES = BLOCK_SCALES + 4 * BLOCK;

/** The largest quantised weight (8 bits) and activation (14 bits, rotated 8 bits), and the largest number of half precision. */
export const WEIGHT_MAX = 127;
export const ACTIVATION_MAX = 8191;
export const ROTATED_MAX = 127;
export const HALF_MAX = 65504;

/** The kernels that convert numbers have items of so many. */
export const CONVERTED = 16;

/** Bytes that share one digest, and the bytes of that. */
export const DIGESTED_BYTES = 65536;
export const DIGEST_BYTES = 16;

/** A line of the cache. */
export const LINE_BYTES = 64;

/** The WebAssembly matmuls have sums of so many rows by a panel in each of so many streams of weights in their scratch. */
export const TILE_ROWS = 3;
export const STREAMS = 8;

/** The most rows whose scores a native attention kernel keeps in its scratch at a time. */
export const ATTENTION_ROWS_MAX = 4;

/**
 * The threads' control block, at the beginning of linear memory; words that different threads wait for are on different
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
 * What native forms do over a row of logits, on the calling thread and outside of any program: the weight of each value,
 * the sum of all weights, and the sum of those whose values are above a bound.
 */
export const ROW_SUMS = {
  weights: { op: 0, sets: X86 },
  total: { op: 1, sets: X86 },
  above: { op: 2, sets: X86 },
} as const;

/**
 * The head of the scratch for rows of logits. `ids` are the tokens that are left of the row at `owner`, `known` of them.
 * A sum reads `count` of the floats at `input`, and their `masses`, and compares them with `bound`. See `wasm/logits.ts`.
 */
export const ROW_SCRATCH = fields(0, {
  address: "owner values ids masses input",
  integer: "known count",
  double: "bound result",
});
export const ROW_SCRATCH_BYTES = 64;
