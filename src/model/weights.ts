// The layout of the weights in linear memory (`loading/packing.ts` fills it). In f32, matrices are packed into panels of 16
// outputs, and a tied token embedding is stored once: the look-up reads the panels of the output head. In int8, matrices and the
// head are quantised, and the embedding for the look-up is in half precision. Norms, biases and positions are always f32.
import { type Arena, rowStride } from "../kernels/memory.ts";
import { BLOCK, BLOCK_BYTES, GROUP } from "../kernels/numbers.ts";
import type { Embedding, Linear, LinearKind } from "../kernels/program.ts";
import type { Gpt2Config } from "./gpt2-config.ts";

export const PRECISIONS = ["int8", "f32"] as const;
export type Precision = (typeof PRECISIONS)[number];

/** The matrices of a model: four in each block, and the output head. */
type Matrix = "cAttn" | "attnProj" | "cFc" | "mlpProj" | "head";

/** The kind of each matrix. `npm run bench:quality` measured the choice (docs/adr/0011-rotated-activations.md). */
const KINDS: Readonly<Record<Precision, Readonly<Record<Matrix, LinearKind>>>> = {
  f32: { cAttn: "f32", attnProj: "f32", cFc: "f32", mlpProj: "f32", head: "f32" },
  int8: { cAttn: "int8", attnProj: "rotated", cFc: "int8", mlpProj: "rotated", head: "rotated" },
};

/** The kinds of matrices that a precision uses. */
export function kindsOf(precision: Precision): LinearKind[] {
  return [...new Set(Object.values(KINDS[precision]))];
}

interface MatrixShape {
  readonly name: Matrix;
  readonly kind: LinearKind;
  /** How many of them a pass multiplies by. */
  readonly count: number;
  readonly inWidth: number;
  readonly outWidth: number;
}

/** The matrices that every pass multiplies by. */
export function matricesOf(config: Gpt2Config, precision: Precision): MatrixShape[] {
  const { nEmbd, nInner, nLayer, vocabSize } = config;
  const matrix = (name: Matrix, count: number, inWidth: number, outWidth: number): MatrixShape => {
    return { name, kind: KINDS[precision][name], count, inWidth, outWidth };
  };
  return [
    matrix("cAttn", nLayer, nEmbd, 3 * nEmbd),
    matrix("attnProj", nLayer, nEmbd, nEmbd),
    matrix("cFc", nLayer, nEmbd, nInner),
    matrix("mlpProj", nLayer, nInner, nEmbd),
    matrix("head", 1, nEmbd, vocabSize),
  ];
}

/** Bytes of a packed matrix. */
export function linearBytes(kind: LinearKind, inWidth: number, outWidth: number): number {
  if (kind === "f32") return 4 * inWidth * rowStride(outWidth);
  return Math.ceil(outWidth / BLOCK) * Math.ceil(inWidth / GROUP) * BLOCK_BYTES;
}

export interface Norm {
  readonly weight: number;
  readonly bias: number;
  readonly epsilon: number;
}

export interface BlockWeights {
  readonly ln1: Norm;
  readonly cAttn: Linear;
  readonly attnProj: Linear;
  readonly ln2: Norm;
  readonly cFc: Linear;
  readonly mlpProj: Linear;
}

/** Addresses of all weights. */
export interface Gpt2Weights {
  readonly wte: Embedding; // [V, C]
  readonly wpe: number; // [T, C]
  readonly blocks: readonly BlockWeights[];
  readonly lnF: Norm;
  readonly head: Linear;
  /** The memory that they take together. `bytes` is a multiple of 64. */
  readonly region: { readonly address: number; readonly bytes: number };
}

/** Reserves memory for all weights of a model. */
export function allocateWeights(arena: Arena, config: Gpt2Config, precision: Precision): Gpt2Weights {
  const { nEmbd, nInner, vocabSize, contextLength } = config;
  const address = arena.allocate(0);
  const norm = (): Norm => ({
    weight: arena.floats(rowStride(nEmbd)),
    bias: arena.floats(rowStride(nEmbd)),
    epsilon: config.layerNormEpsilon,
  });
  const kinds = KINDS[precision];
  const linear = (matrix: Matrix, inWidth: number, outWidth: number): Linear => ({
    kind: kinds[matrix],
    weight: arena.allocate(linearBytes(kinds[matrix], inWidth, outWidth)),
    bias: arena.floats(rowStride(outWidth)),
    inWidth,
    outWidth,
  });
  const blocks = Array.from({ length: config.nLayer }, () => ({
    ln1: norm(),
    cAttn: linear("cAttn", nEmbd, 3 * nEmbd),
    attnProj: linear("attnProj", nEmbd, nEmbd),
    ln2: norm(),
    cFc: linear("cFc", nEmbd, nInner),
    mlpProj: linear("mlpProj", nInner, nEmbd),
  }));
  const head: Linear = { ...linear("head", nEmbd, vocabSize), bias: 0 };
  const shared = precision === "f32" && config.tieWordEmbeddings;
  const wte: Embedding =
    precision === "int8"
      ? { kind: "half", address: arena.allocate(2 * vocabSize * nEmbd) }
      : { kind: "panels", address: shared ? head.weight : arena.floats(nEmbd * rowStride(vocabSize)) };
  const wpe = arena.floats(contextLength * rowStride(nEmbd));
  const lnF = norm();
  return { wte, wpe, blocks, lnF, head, region: { address, bytes: arena.allocate(0) - address } };
}
