// Reads safetensors files: eight bytes of header length, a JSON header with the place of every tensor, raw
// little-endian data. Only the tensors that are asked for are read, and only their type must be known.
// Format: https://github.com/huggingface/safetensors
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { z } from "zod";
import { GptError, messageOf } from "../errors.ts";
import { fromHalf } from "../kernels/half.ts";

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

/** Bytes of an element of each type that weights may have. */
const ELEMENT_BYTES: Record<string, number> = { F32: 4, F16: 2, BF16: 2 };

export class SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly #fd: number;

  private constructor(path: string, fd: number, tensors: ReadonlyMap<string, TensorEntry>) {
    this.path = path;
    this.#fd = fd;
    this.tensors = tensors;
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
      return new SafetensorsFile(path, fd, readHeader(path, fd));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /**
   * Reads a tensor as f32, whatever its stored type. `shape` is what the model needs.
   * @throws GptError `invalid_checkpoint` naming the tensor when it has another shape, an unknown type or wrong size.
   */
  read(name: string, shape: readonly number[]): Float32Array {
    const tensor = this.tensors.get(name);
    if (!tensor) throw invalid(this.path, `tensor ${name} is missing`);
    if (tensor.shape.join() !== shape.join()) {
      throw invalid(this.path, `tensor ${name} has shape [${tensor.shape}], expected [${shape}]`);
    }
    const bytesEach = ELEMENT_BYTES[tensor.dtype];
    if (!bytesEach) {
      throw invalid(this.path, `tensor ${name} has type ${tensor.dtype}, expected F32, F16 or BF16`);
    }
    const count = shape.reduce((product, n) => product * n, 1);
    if (tensor.end - tensor.begin !== count * bytesEach) {
      throw invalid(
        this.path,
        `tensor ${name} takes ${tensor.end - tensor.begin} bytes, expected ${count * bytesEach}`,
      );
    }
    const bytes = new Uint8Array(count * bytesEach);
    readFully(this.path, this.#fd, bytes, tensor.begin);
    if (tensor.dtype === "F32") return new Float32Array(bytes.buffer);
    const halves = new Uint16Array(bytes.buffer);
    return tensor.dtype === "F16" ? fromF16(halves) : fromBf16(halves);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function readHeader(path: string, fd: number): Map<string, TensorEntry> {
  const fileBytes = fstatSync(fd).size;
  const lengthBytes = new Uint8Array(8);
  if (fileBytes < 8) throw invalid(path, `is ${fileBytes} bytes long, too short for a safetensors file`);
  readFully(path, fd, lengthBytes, 0);
  const length = Number(new DataView(lengthBytes.buffer).getBigUint64(0, true));
  if (length > HEADER_BYTES_MAX || 8 + length > fileBytes) {
    throw invalid(path, `is truncated or not a safetensors file: its header would be ${length} bytes long`);
  }
  const bytes = new Uint8Array(length);
  readFully(path, fd, bytes, 8);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(path, `is not a safetensors file: its header is not JSON (${messageOf(error)})`);
  }
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(json as object)) {
    if (name === "__metadata__") continue;
    const parsed = entry.safeParse(value);
    if (!parsed.success) throw invalid(path, `the header's entry for ${name} is malformed`);
    const [begin, end] = parsed.data.data_offsets;
    if (end < begin || 8 + length + end > fileBytes) {
      throw invalid(path, `is truncated: tensor ${name} ends at byte ${8 + length + end} of ${fileBytes}`);
    }
    tensors.set(name, { ...parsed.data, begin: 8 + length + begin, end: 8 + length + end });
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

function fromF16(halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = fromHalf(halves[i] as number);
  return floats;
}

/** bfloat16 is the upper half of an f32. */
function fromBf16(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] as number) << 16;
  return new Float32Array(bits.buffer);
}

function invalid(path: string, problem: string): GptError {
  return new GptError("invalid_checkpoint", `${path}: ${problem}`);
}
