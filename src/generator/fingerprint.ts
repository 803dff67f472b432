// What an answer depends on beside its request: the checkpoint's files, the precision, and the arithmetic. Equal fingerprints mean
// equal texts for equal requests with equal seeds, on any machine.
import { createHash } from "node:crypto";
import { createReadStream, readdirSync } from "node:fs";
import { join } from "node:path";

/** To be raised with every change of a result: kernels, decoding, tokenizer. */
const ARITHMETIC = 2;

const WEIGHTS = /\.(safetensors|bin)$/;
const DESCRIPTIONS = /\.(json|txt)$/;

/**
 * `fp_` and twelve hexadecimal digits. All files are read, so it takes as long as a disk needs for that; `signal` ends it.
 * A process that ends would wait for it.
 */
export async function fingerprintOf(
  directory: string,
  precision: string,
  signal?: AbortSignal,
): Promise<string> {
  const names = readdirSync(directory, { recursive: true })
    .map(String)
    .filter((name) => WEIGHTS.test(name) || DESCRIPTIONS.test(name));
  // Where both are there, the better form of the weights is read.
  const isRead = names.some((name) => name.endsWith(".safetensors"))
    ? names.filter((name) => !name.endsWith(".bin"))
    : names;
  const digests = [];
  for (const name of isRead.sort()) digests.push([name, await digestOf(join(directory, name), signal)]);
  const facts = JSON.stringify([ARITHMETIC, precision, digests]);
  return `fp_${createHash("sha256").update(facts).digest("hex").slice(0, 12)}`;
}

async function digestOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(path, { highWaterMark: 2 ** 18, ...(signal && { signal }) }))
    hash.update(part as Buffer);
  return hash.digest("hex");
}
