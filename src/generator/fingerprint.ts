// A fingerprint of everything that an answer depends on besides its request: the checkpoint's files, the precision and the
// arithmetic. If fingerprints are equal, equal requests with equal seeds give equal texts, on any machine.
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Raise this number with every change that alters results: of kernels, decoding or tokenizer. */
const ARITHMETIC = 3;

const WEIGHTS = /\.(safetensors|bin)$/;
const DESCRIPTIONS = /\.(json|txt)$/;

/**
 * Returns `fp_` and twelve hexadecimal digits. It reads all files of the checkpoint, which takes as long as the disk needs.
 * Folders, pipes and devices are not read, whatever their names: no checkpoint is loaded from them, and some never end.
 * `signal` aborts it; without that, a process that wants to end would wait for it.
 */
export async function fingerprintOf(
  directory: string,
  precision: string,
  signal?: AbortSignal,
): Promise<string> {
  const names = readdirSync(directory, { recursive: true })
    .map(String)
    .filter((name) => WEIGHTS.test(name) || DESCRIPTIONS.test(name))
    .filter((name) => statSync(join(directory, name), { throwIfNoEntry: false })?.isFile());
  // If there are weights in both forms, the loader reads the safetensors only.
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
