// Reads safetensors files: eight bytes of header length, a JSON header with the place of every tensor, raw little-endian data.
// Reads only the tensors that are asked for. Others may have a type that is unknown here.
// Format: https://github.com/huggingface/safetensors
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { z } from "zod";
import type { GptError } from "../../errors.ts";
import { parseJson } from "../../files/json-file.ts";
import { quote } from "../../wording.ts";
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
    const { dtype, begin } = expectTensor(this, name, shape);
    const label = `${this.path}: tensor ${name}`;
    return storedTensor(label, dtype, (first, into) => {
      this.#file.read(into, begin + first * STORED_BYTES[dtype]);
    });
  }

  /** Of the open file, even if there is another file at its path by now. */
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

/**
 * Bytes of a number of each type of the format. With these the sizes of all tensors are checked, even of those that nobody reads.
 */
const BYTES_OF: Readonly<Record<string, number>> = {
  ...STORED_BYTES,
  I64: 8,
  U64: 8,
  C64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
};

/** Accepts what the reference implementation accepts: tensors one after another, without gaps, up to the end of the file. */
function parseHeader(file: OpenFile, header: Uint8Array): Map<string, TensorEntry> {
  const wrong = (problem: string): GptError =>
    file.invalid(`is not a safetensors file: its header ${problem}`);
  if (!isUtf8(header)) throw wrong("is not text in UTF-8");
  const json = parseJson(Buffer.from(header).toString(), wrong, { hasUniqueNames: true });
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw wrong(`is ${quote(json)}`);
  const dataStart = 8 + header.length;
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") continue;
    const parsed = entry.safeParse(value);
    if (!parsed.success) throw file.invalid(`the header's entry for ${quote(name)} is malformed`);
    const { dtype, shape, data_offsets } = parsed.data;
    const begin = dataStart + data_offsets[0];
    const end = dataStart + data_offsets[1];
    const invalid = (problem: string): GptError => file.invalid(`tensor ${quote(name)} ${problem}`);
    if (end < begin) throw invalid(`ends at byte ${end}, before it begins at ${begin}`);
    if (end > file.size) {
      throw file.invalid(`is truncated: tensor ${quote(name)} ends at byte ${end} of ${file.size}`);
    }
    const bytes = shape.reduce((product, n) => product * n, BYTES_OF[dtype] ?? Number.NaN);
    if (bytes !== end - begin && !Number.isNaN(bytes)) {
      throw invalid(`takes ${end - begin} bytes, expected ${bytes} for ${dtype} [${shape.slice(0, 8)}]`);
    }
    tensors.set(name, { dtype, shape, begin, end });
  }
  checkPlaces(file, tensors, dataStart);
  return tensors;
}

function checkPlaces(file: OpenFile, tensors: ReadonlyMap<string, TensorEntry>, dataStart: number): void {
  let done = dataStart;
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  for (const [name, { begin, end }] of inOrder) {
    if (begin !== done) {
      const what = begin < done ? "overlaps the one before it" : "leaves a gap before it";
      throw file.invalid(`tensor ${quote(name)} begins at byte ${begin} and ${what}, which ends at ${done}`);
    }
    done = end;
  }
  if (done !== file.size) {
    throw file.invalid(`has ${file.size - done} bytes behind its last tensor, which ends at byte ${done}`);
  }
}
