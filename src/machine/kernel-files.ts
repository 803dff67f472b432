// The small text files in which a Linux kernel tells of itself, below /proc and /sys. On other systems there are none,
// and whoever asks gets undefined. Nothing is written here.
import { readFileSync } from "node:fs";

/** The text of a file, or undefined where it cannot be read. Tests hand in trees of their own. */
export type ReadText = (path: string) => string | undefined;

export const readKernelFile: ReadText = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/** A limit of this process, as `ulimit` sets it: Linux's /proc/self/limits. Undefined: none, or not known. */
export function processLimit(
  name: "Max open files" | "Max address space",
  read: ReadText = readKernelFile,
): number | undefined {
  const soft = new RegExp(`^${name}\\s+(\\d+)\\s`, "m").exec(read("/proc/self/limits") ?? "")?.[1];
  return soft === undefined ? undefined : Number(soft);
}
