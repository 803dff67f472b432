// Reads safetensors files: eight bytes of header length, a JSON header with the place of every tensor, raw
// little-endian data. Only the tensors that are asked for are read, and only their type must be known.
// Format: https://github.com/huggingface/safetensors
import { createHash } from "node:crypto";
import { type BigIntStats, closeSync, fstatSync, openSync, readSync } from "node:fs";
import { z } from "zod";
import { GptError, messageOf } from "../../errors.ts";
import { fromHalf } from "../../kernels/reference/half.ts";

const entry = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

const HEADER_BYTES_MAX = 100_000_000; // The limit of the reference implementation.

export interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Byte offset in the file. */
  readonly begin: number;
  readonly end: number;
}

/** Bytes of a number of each type that weights may have. */
export const NUMBER_BYTES = { F32: 4, F16: 2, BF16: 2 } as const;
type Dtype = keyof typeof NUMBER_BYTES;

/** A tensor's numbers, row-major, wherever they come from. */
export interface Tensor {
  readonly dtype: Dtype;
  /** Fills `into` with the numbers from number `first` on, as they are stored, little-endian. */
  readonly read: (first: number, into: Uint8Array) => void;
}

/** `count` of a tensor's numbers from `first` on, as f32. */
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

/** The tensor with every number changed as `change` says, given its index. */
export function mapped(tensor: Tensor, change: (value: number, index: number) => number): Tensor {
  return {
    dtype: "F32",
    read: (first, { buffer, byteOffset, length }) => {
      const numbers = new Float32Array(buffer, byteOffset, length / 4);
      numbers.set(numbersOf(tensor, first, numbers.length));
      for (let i = 0; i < numbers.length; i++) numbers[i] = change(numbers[i] as number, first + i);
    },
  };
}

export class SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** SHA-256 of the header: names, types, shapes and places of all tensors. */
  readonly headerHash: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    const header = readHeader(path, fd);
    this.path = path;
    this.#fd = fd;
    this.headerHash = createHash("sha256").update(header).digest("hex");
    this.tensors = parseHeader(path, header, fstatSync(fd).size);
  }

  /** @throws GptError `invalid_checkpoint` when the file is missing, truncated or of another format. */
  static open(path: string): SafetensorsFile {
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      throw invalid(path, `cannot be read (${messageOf(error)})`);
    }
    try {
      return new SafetensorsFile(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /**
   * A tensor, to be read in pieces. `shape` is what the model needs.
   * @throws GptError `invalid_checkpoint` naming the tensor when it has another shape, an unknown type or wrong size.
   */
  tensor(name: string, shape: readonly number[]): Tensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw invalid(this.path, `tensor ${name} is missing`);
    if (tensor.shape.join() !== shape.join()) {
      throw invalid(this.path, `tensor ${name} has shape [${tensor.shape}], expected [${shape}]`);
    }
    const { dtype, begin, end } = tensor;
    if (!isDtype(dtype)) {
      throw invalid(this.path, `tensor ${name} has type ${dtype}, expected F32, F16 or BF16`);
    }
    const bytes = shape.reduce((product, n) => product * n, NUMBER_BYTES[dtype]);
    if (end - begin !== bytes) {
      throw invalid(this.path, `tensor ${name} takes ${end - begin} bytes, expected ${bytes}`);
    }
    const read = (first: number, into: Uint8Array): void =>
      readFully(this.path, this.#fd, into, begin + first * NUMBER_BYTES[dtype]);
    return { dtype, read };
  }

  /** Facts about the file that is open, whatever its path leads to by now. */
  stat(): BigIntStats {
    return fstatSync(this.#fd, { bigint: true });
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function isDtype(name: string): name is Dtype {
  return Object.hasOwn(NUMBER_BYTES, name);
}

function readHeader(path: string, fd: number): Uint8Array {
  const fileBytes = fstatSync(fd).size;
  const lengthBytes = new Uint8Array(8);
  if (fileBytes < 8) throw invalid(path, `is ${fileBytes} bytes long, too short for a safetensors file`);
  readFully(path, fd, lengthBytes, 0);
  const length = Number(new DataView(lengthBytes.buffer).getBigUint64(0, true));
  if (length > HEADER_BYTES_MAX || 8 + length > fileBytes) {
    throw invalid(path, `is truncated or not a safetensors file: its header would be ${length} bytes long`);
  }
  const header = new Uint8Array(length);
  readFully(path, fd, header, 8);
  return header;
}

function parseHeader(path: string, header: Uint8Array, fileBytes: number): Map<string, TensorEntry> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header));
  } catch (error) {
    throw invalid(path, `is not a safetensors file: its header is not JSON (${messageOf(error)})`);
  }
  const dataStart = 8 + header.length;
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(json as object)) {
    if (name === "__metadata__") continue;
    const parsed = entry.safeParse(value);
    if (!parsed.success) throw invalid(path, `the header's entry for ${name} is malformed`);
    const [begin, end] = parsed.data.data_offsets;
    if (end < begin || dataStart + end > fileBytes) {
      throw invalid(path, `is truncated: tensor ${name} ends at byte ${dataStart + end} of ${fileBytes}`);
    }
    tensors.set(name, { ...parsed.data, begin: dataStart + begin, end: dataStart + end });
  }
  return tensors;
}

function readFully(path: string, fd: number, into: Uint8Array, position: number): void {
  let done = 0;
  while (done < into.length) {
    const count = readOnce(path, fd, into, done, position + done);
    if (count === 0) throw invalid(path, `ended at byte ${position + done} while it was read`);
    done += count;
  }
}

function readOnce(path: string, fd: number, into: Uint8Array, offset: number, position: number): number {
  try {
    return readSync(fd, into, offset, into.length - offset, position);
  } catch (error) {
    throw invalid(path, `cannot be read (${messageOf(error)})`);
  }
}

function invalid(path: string, problem: string): GptError {
  return new GptError("invalid_checkpoint", `${path}: ${problem}`);
}
