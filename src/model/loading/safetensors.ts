// Reads safetensors files: eight bytes of header length, a JSON header with the place of every tensor, raw
// little-endian data. Only the tensors that are asked for are read, and only their type must be known.
// Format: https://github.com/huggingface/safetensors
import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { z } from "zod";
import { messageOf } from "../../errors.ts";
import { OpenFile } from "./open-file.ts";
import {
  expectTensor,
  STORED_BYTES,
  storedTensor,
  type Tensor,
  type TensorFacts,
  type TensorFile,
} from "./tensor.ts";

const entry = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

const HEADER_BYTES_MAX = 100_000_000; // The limit of the reference implementation.

export interface TensorEntry extends TensorFacts {
  /** Byte offset in the file. */
  readonly begin: number;
  readonly end: number;
}

export class SafetensorsFile implements TensorFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** SHA-256 of the header: names, types, shapes and places of all tensors. */
  readonly headerHash: string;
  readonly #file: OpenFile;

  private constructor(file: OpenFile) {
    const header = readHeader(file);
    this.path = file.path;
    this.#file = file;
    this.headerHash = createHash("sha256").update(header).digest("hex");
    this.tensors = parseHeader(file, header);
  }

  /** @throws GptError `invalid_checkpoint` when the file is missing, truncated or of another format. */
  static open(path: string): SafetensorsFile {
    return OpenFile.with(path, (file) => new SafetensorsFile(file));
  }

  /**
   * A tensor, to be read in pieces. `shape` is what the model needs.
   * @throws GptError `invalid_checkpoint` naming the tensor when it has another shape, an unknown type or wrong size.
   */
  tensor(name: string, shape: readonly number[]): Tensor {
    const { dtype, begin, end } = expectTensor(this, name, shape);
    const bytes = shape.reduce((product, n) => product * n, STORED_BYTES[dtype]);
    if (end - begin !== bytes) {
      throw this.#file.invalid(`tensor ${name} takes ${end - begin} bytes, expected ${bytes}`);
    }
    return storedTensor(dtype, (first, into) => this.#file.read(into, begin + first * STORED_BYTES[dtype]));
  }

  /** Facts about the file that is open, whatever its path leads to by now. */
  stat(): BigIntStats {
    return this.#file.stat();
  }

  close(): void {
    this.#file.close();
  }
}

function readHeader(file: OpenFile): Uint8Array {
  const fileBytes = file.size;
  if (fileBytes < 8) throw file.invalid(`is ${fileBytes} bytes long, too short for a safetensors file`);
  const length = Number(file.bytes(0, 8).readBigUInt64LE());
  if (length > HEADER_BYTES_MAX || 8 + length > fileBytes) {
    throw file.invalid(`is truncated or not a safetensors file: its header would be ${length} bytes long`);
  }
  return file.bytes(8, length);
}

function parseHeader(file: OpenFile, header: Uint8Array): Map<string, TensorEntry> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header));
  } catch (error) {
    throw file.invalid(`is not a safetensors file: its header is not JSON (${messageOf(error)})`);
  }
  const dataStart = 8 + header.length;
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(json as object)) {
    if (name === "__metadata__") continue;
    const parsed = entry.safeParse(value);
    if (!parsed.success) throw file.invalid(`the header's entry for ${name} is malformed`);
    const [begin, end] = parsed.data.data_offsets;
    if (end < begin || dataStart + end > file.size) {
      throw file.invalid(`is truncated: tensor ${name} ends at byte ${dataStart + end} of ${file.size}`);
    }
    tensors.set(name, { ...parsed.data, begin: dataStart + begin, end: dataStart + end });
  }
  return tensors;
}
