// Tells whether the files of a checkpoint directory are still those that were loaded. A serving process asks this every few
// seconds. So it compares facts of the file system only, and reads no contents, except the index that names the weight files.
import { readdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { weightFileNames } from "./checkpoint.ts";

/**
 * Weights, configuration, and a tokenizer's files. Folders inside the directory are other checkpoints of a training: not looked
 * at.
 */
const READ = /\.(safetensors|bin|json|txt)$/;

/**
 * A text that stays the same as long as no file was written or replaced. It does not contain a file's ctime, because that changes
 * in a hub's cache whenever a file gets another name (link). It is synchronous, so that at the start a load does not wait behind
 * other work of the process.
 * @throws when the directory cannot be read
 */
export function checkpointState(directory: string): string {
  const names = new Set(readdirSync(directory).filter((name) => READ.test(name)));
  for (const name of partsOf(directory)) names.add(name);
  const facts = [...names].sort().map((name) => factsOf(directory, name));
  return [realpathSync(directory), ...facts].join("\n");
}

/** The names of the weight files. None if they are incomplete: loading them reports that. */
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
