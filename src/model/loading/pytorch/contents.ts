// What either format of PyTorch's files comes to.
import type { TensorView } from "./pickle-values.ts";

export interface Contents {
  readonly tensors: ReadonlyMap<string, TensorView>;
  /** Key of every storage that a tensor lies in → its first byte in the file. */
  readonly places: ReadonlyMap<string, number>;
  /** Of all bytes that say what lies where. */
  readonly hash: string;
}
