// What is read from a PyTorch file, in either of its two formats.
import type { TensorView } from "./pickle-values.ts";

export interface Contents {
  readonly tensors: ReadonlyMap<string, TensorView>;
  /** From the key of each storage that has tensors to the position of its first byte in the file. */
  readonly places: ReadonlyMap<string, number>;
  /** Hash of all bytes that tell where the tensors are. */
  readonly hash: string;
}
