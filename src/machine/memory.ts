// How much memory there is: the machine's, or the limit of a container's control groups. Above such a limit the kernel kills
// the process without a message, so the limit is read before memory is taken. Swap does not count: a model that is read from
// swap for every token is uselessly slow.
import { totalmem } from "node:os";
import { posix } from "node:path";
import { type ControlGroup, controlGroups } from "./control-groups.ts";
import { type ReadText, readKernelFile } from "./kernel-files.ts";

export interface MemoryLimit {
  readonly bytes: number;
  /** The control group's file that holds the limit; undefined: it is the machine's memory. */
  readonly file: string | undefined;
}

/** The narrowest limit of the process's control groups, or the machine's memory if that is less. */
export function memoryLimit(read: ReadText = readKernelFile, total = totalmem()): MemoryLimit {
  const limits = controlGroups("memory", read).flatMap((group) => limitOf(group, read) ?? []);
  return [{ bytes: total, file: undefined }, ...limits].sort((a, b) => a.bytes - b.bytes)[0] as MemoryLimit;
}

/** For no limit, version 2 has "max" and version 1 a number near 2⁶³, more than any machine has. */
function limitOf({ version, folder }: ControlGroup, read: ReadText): MemoryLimit | undefined {
  const file = posix.join(folder, version === 2 ? "memory.max" : "memory.limit_in_bytes");
  const text = read(file)?.trim() ?? "";
  return /^\d+$/.test(text) ? { bytes: Number(text), file } : undefined;
}

/** Memory that can be allocated now without swapping: Linux's `MemAvailable`; undefined elsewhere. */
export function memoryAvailable(read: ReadText = readKernelFile): number | undefined {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(read("/proc/meminfo") ?? "")?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
