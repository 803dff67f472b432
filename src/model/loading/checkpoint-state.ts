// What tells one state of a checkpoint directory from another for as long as a process serves it: whether its files are the
// ones that were loaded. Facts of the file system only, so that it may be asked every few seconds; the contents are not read,
// but of the index that names the parts of the weights.
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { weightFileNames } from "./checkpoint.ts";

/** Weights, descriptions, and a tokenizer's files. What lies in folders below belongs to other states of a training. */
const READ = /\.(safetensors|bin|json|txt)$/;

/**
 * A text that is the same as long as no file was written or replaced. Times of last change (ctime) are not part of it: in a
 * cache of a hub they change whenever another name is given to a file.
 * @throws when the directory cannot be read
 */
export async function checkpointState(directory: string): Promise<string> {
  const names = new Set((await readdir(directory)).filter((name) => READ.test(name)));
  for (const name of partsOf(directory)) names.add(name);
  const facts = await Promise.all([...names].sort().map((name) => factsOf(directory, name)));
  return [await realpath(directory), ...facts].join("\n");
}

/** None where the weights are not whole: that is told when they are loaded. */
function partsOf(directory: string): readonly string[] {
  try {
    return weightFileNames(directory);
  } catch {
    return [];
  }
}

async function factsOf(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  const facts = await stat(path, { bigint: true }).catch(() => undefined);
  return facts === undefined
    ? `${name} is gone`
    : [name, facts.dev, facts.ino, facts.size, facts.mtimeNs].join(" ");
}
