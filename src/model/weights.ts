// Where the weights lie in linear memory, and how they get there. In f32, matrices are packed into panels of 16 outputs
// (`packing.ts`), and the token embedding once for both its uses, as a look-up table and as the output head. In int8,
// matrices and the head are quantised; the embedding is kept in half precision for looking up; norms, biases and
// positions stay f32.
import { type Arena, rowStride } from "../kernels/memory.ts";
import type { Embedding, Linear } from "../kernels/program.ts";
import type { Gpt2Config } from "./gpt2-config.ts";
import { linearBytes, type Packer } from "./packing.ts";
import type { Tensor } from "./safetensors.ts";

export const PRECISIONS = ["int8", "f32"] as const;
export type Precision = (typeof PRECISIONS)[number];

/** To be raised whenever packed weights get another layout or other bits: cached ones are then of no use. */
export const WEIGHT_FORMAT = 3;

/** Where tensors come from: a checkpoint, or whatever has its shape. */
export interface TensorSource {
  readonly config: Gpt2Config;
  /** A tensor of this shape; names without the `transformer.` prefix. */
  tensor(name: string, shape: readonly number[]): Tensor;
  /** Another one whenever the tensors may be others; undefined: cannot be told. */
  identity?(): string | undefined;
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
  /** All of them; `bytes` is a multiple of 64. */
  readonly region: { readonly address: number; readonly bytes: number };
}

/** Reserves room for all weights of this shape. */
export function allocateWeights(arena: Arena, config: Gpt2Config, precision: Precision): Gpt2Weights {
  const { nEmbd, nInner, vocabSize, contextLength } = config;
  const address = arena.allocate(0);
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
  const wpe = arena.floats(contextLength * rowStride(nEmbd));
  const lnF = norm();
  return { wte, wpe, blocks, lnF, head, region: { address, bytes: arena.allocate(0) - address } };
}

/**
 * Reads every tensor, piece by piece, and packs it into its place.
 * @throws GptError `invalid_checkpoint` naming the file and the tensor.
 */
export function loadWeights(packer: Packer, weights: Gpt2Weights, source: TensorSource): void {
  const { vocabSize, contextLength, nEmbd, tieWordEmbeddings } = source.config;
  const vector = (address: number, name: string, width: number): void => {
    packer.rows(address, source.tensor(name, [width]), [1, width]);
  };
  const norm = (target: Norm, name: string): void => {
    vector(target.weight, `${name}.weight`, nEmbd);
    vector(target.bias, `${name}.bias`, nEmbd);
  };
  // Conv1D weights are stored [in, out], a Linear's [out, in].
  const conv1d = (target: Linear, name: string): void => {
    const { inWidth, outWidth } = target;
    packer.inOut(target, source.tensor(`${name}.weight`, [inWidth, outWidth]));
    vector(target.bias, `${name}.bias`, outWidth);
  };
  const { wte, head } = weights;
  const shape = [vocabSize, nEmbd] as const;
  const lookedUp: Linear[] = wte.kind === "half" ? [] : [{ ...head, weight: wte.address }];
  const heads = tieWordEmbeddings && head.weight !== wte.address ? [head] : [];
  const halves = wte.kind === "half" ? wte.address : 0;
  packer.outIn([...lookedUp, ...heads], source.tensor("wte.weight", shape), shape, halves);
  if (!tieWordEmbeddings) packer.outIn([head], source.tensor("lm_head.weight", shape), shape);
  packer.rows(weights.wpe, source.tensor("wpe.weight", [contextLength, nEmbd]), [contextLength, nEmbd]);
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
