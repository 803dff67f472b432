// What tensors are read through: a checkpoint, or anything that stands for one in tests and benches.
import type { Gpt2Config } from "../gpt2-config.ts";
import type { Tensor } from "./tensor.ts";

/** Where tensors come from: a checkpoint, or whatever has its shape. */
export interface TensorSource {
  readonly config: Gpt2Config;
  /** A tensor of this shape; names without the `transformer.` prefix. */
  tensor(name: string, shape: readonly number[]): Tensor;
  /** Another one whenever the tensors may be others; undefined: cannot be told. */
  identity?(): string | undefined;
}
