// A tensor as a checkpoint stores it, in whatever format: its type, and numbers that are read in pieces. Also the interface of a
// format's reader (`TensorFile`), and the checks that all readers make before a tensor is read.
import type { BigIntStats } from "node:fs";
import { GptError } from "../../errors.ts";
import { fromHalf } from "../../kernels/reference/half.ts";
import { quote } from "../../wording.ts";

/** Bytes of a number of each type that weights may have. */
export const NUMBER_BYTES = { F32: 4, F16: 2, BF16: 2 } as const;
export type Dtype = keyof typeof NUMBER_BYTES;

/** A tensor's numbers in row-major order. */
export interface Tensor {
  readonly dtype: Dtype;
  /** File and name, for messages. */
  readonly label?: string;
  /** Fills `into` with the numbers from index `first` on, in their type, little-endian. */
  readonly read: (first: number, into: Uint8Array) => void;
}

/** `count` of a tensor's numbers from index `first` on, as f32. */
export function numbersOf({ dtype, read }: Tensor, first: number, count: number): Float32Array {
  const numbers = new Float32Array(count);
  if (dtype === "F32") {
    read(first, new Uint8Array(numbers.buffer));
    return numbers;
  }
  const stored = new Uint16Array(count);
  read(first, new Uint8Array(stored.buffer));
  const bits = new Uint32Array(numbers.buffer);
  for (let i = 0; i < count; i++) {
    if (dtype === "F16") numbers[i] = fromHalf(stored[i] as number);
    else bits[i] = (stored[i] as number) << 16;
  }
  return numbers;
}

/** The tensor, with `change` applied to every number and its index when it is read. */
export function mapped(tensor: Tensor, change: (value: number, index: number) => number): Tensor {
  return {
    dtype: "F32",
    ...(tensor.label !== undefined && { label: tensor.label }),
    read: (first, { buffer, byteOffset, length }) => {
      const numbers = new Float32Array(buffer, byteOffset, length / 4);
      numbers.set(numbersOf(tensor, first, numbers.length));
      for (let i = 0; i < numbers.length; i++) numbers[i] = change(numbers[i] as number, first + i);
    },
  };
}

/** Bytes of a number of each type that can be read. Doubles are rounded to f32 by the read. */
export const STORED_BYTES = { ...NUMBER_BYTES, F64: 8 } as const;
type StoredDtype = keyof typeof STORED_BYTES;

/** What a file says about a tensor. Its type may be one that weights cannot have. */
export interface TensorFacts {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** An open file of tensors. */
export interface TensorFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorFacts>;
  /** SHA-256 of the part of the file with the names, types, shapes and places of all tensors. */
  readonly headerHash: string;
  /**
   * A tensor, to be read in pieces. `shape` is what the model needs.
   * @throws GptError `invalid_checkpoint` naming the tensor when it is not as it should be.
   */
  tensor(name: string, shape: readonly number[]): Tensor;
  /** Of the open file, even if there is another file at its path by now. */
  stat(): BigIntStats;
  close(): void;
}

/**
 * The facts about a tensor, after a check that it has this shape and a type that weights may have.
 * @throws GptError `invalid_checkpoint`
 */
export function expectTensor<Facts extends TensorFacts>(
  { path, tensors }: { readonly path: string; readonly tensors: ReadonlyMap<string, Facts> },
  name: string,
  shape: readonly number[],
): Facts & { readonly dtype: StoredDtype } {
  const invalid = (problem: string) =>
    new GptError("invalid_checkpoint", `${path}: tensor ${name} ${problem}`);
  const facts = tensors.get(name);
  if (!facts) throw invalid("is missing");
  if (facts.shape.join() !== shape.join()) {
    throw invalid(`has shape [${facts.shape}], expected [${shape}]`);
  }
  if (!isStored(facts)) throw invalid(`has type ${quote(facts.dtype)}, expected F32, F16, BF16 or F64`);
  return facts;
}

function isStored<Facts extends TensorFacts>(facts: Facts): facts is Facts & { readonly dtype: StoredDtype } {
  return Object.hasOwn(STORED_BYTES, facts.dtype);
}

/** A tensor whose stored numbers `read` reads. Doubles are rounded to the nearest f32, as PyTorch's `tensor.float()` does. */
export function storedTensor(label: string, dtype: StoredDtype, read: Tensor["read"]): Tensor {
  if (dtype !== "F64") return { dtype, label, read };
  return {
    dtype: "F32",
    label,
    read: (first, { buffer, byteOffset, length }) => {
      const doubles = new Float64Array(length / 4);
      read(first, new Uint8Array(doubles.buffer));
      new Float32Array(buffer, byteOffset, doubles.length).set(doubles);
    },
  };
}
