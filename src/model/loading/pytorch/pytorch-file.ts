// Reads pytorch_model.bin, which `torch.save` writes, in its current format or the one before. The pickle is read like the header of
// a safetensors file: it gives the type, shape and place of each tensor. Code in a file is never run (`pickle-reader.ts`). Reads
// only the tensors that are asked for.
import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { OpenFile } from "../open-file.ts";
import {
  expectTensor,
  STORED_BYTES,
  storedTensor,
  type Tensor,
  type TensorFacts,
  type TensorFile,
} from "../tensor.ts";
import type { Contents } from "./contents.ts";
import { readLegacyFile } from "./legacy-file.ts";
import type { TensorView } from "./pickle-values.ts";
import { stridedReader } from "./strided.ts";
import { readZipFile } from "./zip-file.ts";

interface Placed extends TensorFacts {
  readonly view: TensorView;
  /** Position of its first number in the file. */
  readonly begin: number;
}

export class PytorchFile implements TensorFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, Placed>;
  readonly headerHash: string;
  readonly #file: OpenFile;

  private constructor(file: OpenFile) {
    const { tensors, places, hash } = readContents(file);
    this.path = file.path;
    this.#file = file;
    this.headerHash = createHash("sha256").update(hash).digest("hex");
    this.tensors = new Map([...tensors].map(([name, view]) => [name, placed(view, places)]));
  }

  /** @throws GptError `invalid_checkpoint` when the file is missing, damaged, of another format, or asks for code. */
  static open(path: string): PytorchFile {
    return OpenFile.with(path, (file) => new PytorchFile(file));
  }

  /** @throws GptError `invalid_checkpoint` naming the tensor when it is not there, or has another shape or type. */
  tensor(name: string, shape: readonly number[]): Tensor {
    const { dtype, begin, view } = expectTensor(this, name, shape);
    const layout = { begin, width: STORED_BYTES[dtype], shape, strides: view.strides };
    return storedTensor(
      `${this.path}: tensor ${name}`,
      dtype,
      stridedReader((into, position) => this.#file.read(into, position), layout),
    );
  }

  /** Of the open file, even if there is another file at its path by now. */
  stat(): BigIntStats {
    return this.#file.stat();
  }

  close(): void {
    this.#file.close();
  }
}

function placed(view: TensorView, places: ReadonlyMap<string, number>): Placed {
  const { storage, offset, shape } = view;
  const { dtype, bytes } = storage.type;
  return { dtype, shape, view, begin: (places.get(storage.key) as number) + offset * bytes };
}

/** Enough to recognise the kind of a file. */
const BEGINNING_BYTES = 512;
const TAR_NAME_AT = 257;

const OTHER_BEGINNINGS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^$/, "is empty"],
  [/^\s*<(!doctype|html|\?xml)/i, "is a web page, not weights: it was not downloaded as a file"],
];

function readContents(file: OpenFile): Contents {
  const beginning = file.bytes(0, Math.min(file.size, BEGINNING_BYTES)).toString("latin1");
  if (beginning.startsWith("PK\x03\x04")) return readZipFile(file);
  if (beginning.startsWith("\x80")) return readLegacyFile(file);
  if (beginning.startsWith("ustar", TAR_NAME_AT)) {
    throw file.invalid("is a tar file of PyTorch 0.1, which is not read: save it with a later release");
  }
  const [, what] = OTHER_BEGINNINGS.find(([pattern]) => pattern.test(beginning)) ?? [];
  throw file.invalid(what ?? "is not a file of torch.save: it begins neither as a zip file nor as a pickle");
}
