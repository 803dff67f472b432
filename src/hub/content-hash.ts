// The hash that names a file on the hub and in its cache: SHA-256 of the content for large files, and for those that git
// itself keeps the SHA-1 of a git blob, which is the content behind `blob {size}` and a zero byte. The length of the
// expected hash tells which.
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";

const SHA256_DIGITS = 64;

export function contentHash(etag: string, size: number): Hash {
  if (etag.length === SHA256_DIGITS) return createHash("sha256");
  return createHash("sha1").update(`blob ${size}\0`);
}

/** Feeds the first `length` bytes of a file to a hash; returns how many there were. */
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
