// Reads a part of a file from its beginning to its end, in pieces. Only one chunk is in memory at a time. It also hashes everything
// that has been read.
import { createHash } from "node:crypto";
import type { OpenFile } from "../open-file.ts";

/** A piece is never longer than this. */
const CHUNK_BYTES = 65_536;

export class ByteCursor {
  readonly file: OpenFile;
  readonly #end: number;
  readonly #hash = createHash("sha256");
  #chunk = Buffer.alloc(0);
  /** Index of the next byte in the chunk. */
  #at = 0;
  /** Position in the file of the first byte after the chunk. */
  #position: number;

  constructor(file: OpenFile, begin: number, end: number) {
    this.file = file;
    this.#position = begin;
    this.#end = end;
  }

  /** Position in the file of the next byte. */
  get position(): number {
    return this.#position - this.#chunk.length + this.#at;
  }

  /** The next bytes. Valid until the next call. @throws GptError `invalid_checkpoint` beyond the end. */
  next(count: number): Buffer {
    if (this.#at + count > this.#chunk.length) this.#refill(count);
    const bytes = this.#chunk.subarray(this.#at, this.#at + count);
    this.#at += count;
    return bytes;
  }

  byte(): number {
    return this.next(1)[0] as number;
  }

  /** The hash in hex digits. It covers whole chunks, so a few bytes after the last piece may be part of it. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  #refill(count: number): void {
    const rest = this.#chunk.subarray(this.#at);
    const fresh = Math.min(CHUNK_BYTES, this.#end - this.#position);
    if (count > rest.length + fresh) {
      throw this.file.invalid(`is truncated or damaged: its pickle goes on beyond byte ${this.#end}`);
    }
    const bytes = this.file.bytes(this.#position, fresh);
    this.#hash.update(bytes);
    this.#chunk = Buffer.concat([rest, bytes]);
    this.#at = 0;
    this.#position += fresh;
  }
}
