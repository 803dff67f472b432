// The hash that names a file on the hub and in its cache. A large file (git LFS) has the SHA-256 of its content. A file that
// git itself keeps has git's blob hash: SHA-1 over `blob {size}`, a zero byte and the content. The length of the expected
// hash tells which of the two it is.
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";

const SHA256_DIGITS = 64;

export function contentHash(etag: string, size: number): Hash {
  if (etag.length === SHA256_DIGITS) return createHash("sha256");
  return createHash("sha1").update(`blob ${size}\0`);
}

/** Feeds the first `length` bytes of a file to a hash. Returns how many bytes there were: fewer for a shorter file. */
export async function hashFile(
  hash: Hash,
  path: string,
  length: number,
  signal?: AbortSignal,
): Promise<number> {
  let seen = 0;
  if (length === 0) return seen;
  const stream = createReadStream(path, { end: length - 1, highWaterMark: 1 << 20 });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    signal?.throwIfAborted();
    hash.update(chunk);
    seen += chunk.length;
  }
  return seen;
}

/** Whether a file has this size and hash. False for one that cannot be read. */
export async function hasContent(
  path: string,
  { etag, size }: { readonly etag: string; readonly size: number },
  signal?: AbortSignal,
): Promise<boolean> {
  const hash = contentHash(etag, size);
  try {
    const seen = await hashFile(hash, path, size + 1, signal);
    return seen === size && hash.digest("hex") === etag;
  } catch {
    signal?.throwIfAborted();
    return false;
  }
}
