// What tells one state of a checkpoint directory from another for as long as a process serves it: whether its files are the
// ones that were loaded. Facts of the file system only, so that it may be asked every few seconds; the contents are not read,
// but of the index that names the parts of the weights.
import { readdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { weightFileNames } from "./checkpoint.ts";

/** Weights, descriptions, and a tokenizer's files. What lies in folders below belongs to other states of a training. */
const READ = /\.(safetensors|bin|json|txt)$/;

/**
 * A text that is the same as long as no file was written or replaced. Times of last change (ctime) are not part of it: in a
 * cache of a hub they change whenever another name is given to a file. It waits for the disk: a load must not begin later
 * than it can, behind whatever the process does at its start.
 * @throws when the directory cannot be read
 */
export function checkpointState(directory: string): string {
  const names = new Set(readdirSync(directory).filter((name) => READ.test(name)));
  for (const name of partsOf(directory)) names.add(name);
  const facts = [...names].sort().map((name) => factsOf(directory, name));
  return [realpathSync(directory), ...facts].join("\n");
}

/** None where the weights are not whole: that is told when they are loaded. */
function partsOf(directory: string): readonly string[] {
  try {
    return weightFileNames(directory);
  } catch {
    return [];
  }
}

function factsOf(directory: string, name: string): string {
  const facts = statSync(join(directory, name), { bigint: true, throwIfNoEntry: false });
  return facts === undefined
    ? `${name} is gone`
    : [name, facts.dev, facts.ino, facts.size, facts.mtimeNs].join(" ");
}
