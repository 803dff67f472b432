// Where the weights lie in linear memory, and how they get there. In f32, matrices are packed into panels of 16 outputs
// (`packing.ts`), and the token embedding once for both its uses, as a look-up table and as the output head. In int8,
// matrices and the head are quantised; the embedding is kept in half precision for looking up; norms, biases and
// positions stay f32.
import { type Arena, type LinearMemory, rowStride } from "../kernels/memory.ts";
import type { Embedding, Linear } from "../kernels/program.ts";
import type { Gpt2Config } from "./gpt2-config.ts";
import { linearBytes, packHalves, packInOut, packOutIn } from "./packing.ts";

export const PRECISIONS = ["int8", "f32"] as const;
export type Precision = (typeof PRECISIONS)[number];

/** Where tensors come from: a checkpoint, or whatever has its shape. */
export interface TensorSource {
  readonly config: Gpt2Config;
  /** A tensor as f32, row-major; names without the `transformer.` prefix. */
  read(name: string, shape: readonly number[]): Float32Array;
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
}

/** Reserves room for all weights of this shape. */
export function allocateWeights(arena: Arena, config: Gpt2Config, precision: Precision): Gpt2Weights {
  const { nEmbd, nInner, vocabSize, contextLength } = config;
  const norm = (): Norm => ({
    weight: arena.floats(rowStride(nEmbd)),
    bias: arena.floats(rowStride(nEmbd)),
    epsilon: config.layerNormEpsilon,
  });
  const linear = (inWidth: number, outWidth: number): Linear => ({
    kind: precision,
    weight: arena.allocate(linearBytes(precision, inWidth, outWidth)),
    bias: arena.floats(rowStride(outWidth)),
    inWidth,
    outWidth,
  });
  const blocks = Array.from({ length: config.nLayer }, () => ({
    ln1: norm(),
    cAttn: linear(nEmbd, 3 * nEmbd),
    attnProj: linear(nEmbd, nEmbd),
    ln2: norm(),
    cFc: linear(nEmbd, nInner),
    mlpProj: linear(nInner, nEmbd),
  }));
  const head: Linear = { ...linear(nEmbd, vocabSize), bias: 0 };
  const shared = precision === "f32" && config.tieWordEmbeddings;
  const wte: Embedding =
    precision === "int8"
      ? { kind: "half", address: arena.allocate(2 * vocabSize * nEmbd) }
      : { kind: "panels", address: shared ? head.weight : arena.floats(nEmbd * rowStride(vocabSize)) };
  return { wte, wpe: arena.floats(contextLength * rowStride(nEmbd)), blocks, lnF: norm(), head };
}

/**
 * Reads every tensor, one at a time, and packs it into its place.
 * @throws GptError `invalid_checkpoint` naming the file and the tensor.
 */
export function loadWeights(memory: LinearMemory, weights: Gpt2Weights, source: TensorSource): void {
  const { vocabSize, contextLength, nEmbd, tieWordEmbeddings } = source.config;
  const vector = (address: number, name: string, width: number): void => {
    memory.floats(address, width).set(source.read(name, [width]));
  };
  const norm = (target: Norm, name: string): void => {
    vector(target.weight, `${name}.weight`, nEmbd);
    vector(target.bias, `${name}.bias`, nEmbd);
  };
  // Conv1D weights are stored [in, out], a Linear's [out, in].
  const conv1d = (target: Linear, name: string): void => {
    const { inWidth, outWidth } = target;
    packInOut(memory, target, source.read(`${name}.weight`, [inWidth, outWidth]));
    vector(target.bias, `${name}.bias`, outWidth);
  };
  const embedding = source.read("wte.weight", [vocabSize, nEmbd]);
  const table = { ...weights.head, kind: "f32", weight: weights.wte.address } as const;
  if (weights.wte.kind === "half") packHalves(memory, weights.wte.address, embedding);
  else packOutIn(memory, table, embedding);
  if (!tieWordEmbeddings) packOutIn(memory, weights.head, source.read("lm_head.weight", [vocabSize, nEmbd]));
  else if (weights.head.weight !== weights.wte.address) packOutIn(memory, weights.head, embedding);
  const wpe = source.read("wpe.weight", [contextLength, nEmbd]); // [T, C]
  for (let t = 0; t < contextLength; t++) {
    const row = wpe.subarray(t * nEmbd, (t + 1) * nEmbd);
    memory.floats(weights.wpe + 4 * t * rowStride(nEmbd), nEmbd).set(row);
  }
  for (const [l, block] of weights.blocks.entries()) {
    norm(block.ln1, `h.${l}.ln_1`);
    conv1d(block.cAttn, `h.${l}.attn.c_attn`);
    conv1d(block.attnProj, `h.${l}.attn.c_proj`);
    norm(block.ln2, `h.${l}.ln_2`);
    conv1d(block.cFc, `h.${l}.mlp.c_fc`);
    conv1d(block.mlpProj, `h.${l}.mlp.c_proj`);
  }
  norm(weights.lnF, "ln_f");
}
