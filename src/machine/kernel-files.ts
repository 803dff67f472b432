// Reads the small text files below /proc and /sys in which a Linux kernel describes itself. Other systems have none, and
// the result is undefined. Nothing is written here.
import { readFileSync } from "node:fs";

/** The text of a file, or undefined if it cannot be read. Tests pass trees of their own. */
export type ReadText = (path: string) => string | undefined;

export const readKernelFile: ReadText = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/** A limit of this process that `ulimit` sets, from Linux's /proc/self/limits. Undefined: none, or unknown. */
export function processLimit(
  name: "Max open files" | "Max address space",
  read: ReadText = readKernelFile,
): number | undefined {
  const soft = new RegExp(`^${name}\\s+(\\d+)\\s`, "m").exec(read("/proc/self/limits") ?? "")?.[1];
  return soft === undefined ? undefined : Number(soft);
}
