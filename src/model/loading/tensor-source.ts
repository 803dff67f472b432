// The interface through which a model's tensors are read. A checkpoint implements it; so do stand-ins in tests and benches.
import type { Gpt2Config } from "../gpt2-config.ts";
import type { Tensor } from "./tensor.ts";

export interface TensorSource {
  readonly config: Gpt2Config;
  /** A tensor of this shape. Names have no prefix such as `transformer.`. */
  tensor(name: string, shape: readonly number[]): Tensor;
  /** Changes whenever the tensors may have changed. Undefined: unknown. */
  identity?(): string | undefined;
}
