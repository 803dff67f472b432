// Maps the tensors of a checkpoint to their places in the packed weights.
import type { Linear } from "../../kernels/program.ts";
import type { Gpt2Weights, Norm } from "../weights.ts";
import type { Packer } from "./packing.ts";
import type { TensorSource } from "./tensor-source.ts";

/** Must be increased when packed weights get another layout or other bits. Then cached ones are not used any more. */
export const WEIGHT_FORMAT = 4;

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
  // Conv1D stores its weights as [in, out], Linear as [out, in].
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
