// A file that is open for reading at any position. It knows no format. Every error message begins with the file's path.
import { type BigIntStats, closeSync, fstatSync, readSync } from "node:fs";
import { GptError, messageOf } from "../../errors.ts";
import { isLfsPointer, LFS_PROBLEM, openRegularFile } from "../../files/json-file.ts";

/** Enough bytes to recognise a pointer of Git LFS. */
const POINTER_BYTES = 64;

export class OpenFile {
  readonly path: string;
  /** In bytes, at the time when it was opened. */
  readonly size: number;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
    this.size = fstatSync(fd).size;
  }

  /**
   * Opens a file for `use`, and closes it again when that throws.
   * @throws GptError `invalid_checkpoint` when it cannot be read.
   */
  static with<Result>(path: string, use: (file: OpenFile) => Result): Result {
    const fd = openRegularFile(path, "invalid_checkpoint");
    if (fd === undefined) throw invalid(path, "is missing");
    try {
      const file = new OpenFile(path, fd);
      if (isLfsPointer(file.bytes(0, Math.min(POINTER_BYTES, file.size)))) throw file.invalid(LFS_PROBLEM);
      return use(file);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** @throws GptError `invalid_checkpoint` when the file ends before `into` is full. */
  read(into: Uint8Array, position: number): void {
    let done = 0;
    while (done < into.length) {
      const count = this.#readOnce(into, done, position + done);
      if (count === 0) throw this.invalid(`ended at byte ${position + done} while it was read`);
      done += count;
    }
  }

  /** The caller must have compared `count` with the size of the file, since a buffer of this size is allocated. */
  bytes(position: number, count: number): Buffer {
    const bytes = Buffer.alloc(count);
    this.read(bytes, position);
    return bytes;
  }

  invalid(problem: string): GptError {
    return invalid(this.path, problem);
  }

  /** Of the open file, even if there is another file at its path by now. */
  stat(): BigIntStats {
    return fstatSync(this.#fd, { bigint: true });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #readOnce(into: Uint8Array, offset: number, position: number): number {
    try {
      return readSync(this.#fd, into, offset, into.length - offset, position);
    } catch (error) {
      throw this.invalid(`cannot be read (${messageOf(error)})`);
    }
  }
}

function invalid(path: string, problem: string): GptError {
  return new GptError("invalid_checkpoint", `${path}: ${problem}`);
}
