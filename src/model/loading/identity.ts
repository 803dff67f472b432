// What tells one state of a checkpoint from another without reading it whole, as the cache of packed weights must. Not a
// hash of the contents: that would cost as much time as packing them does (docs/adr/0007-weight-cache.md).
import { realpathSync } from "node:fs";
import type { Gpt2Config } from "../gpt2-config.ts";
import type { TensorFile } from "./tensor.ts";

/**
 * Changes with every write to a file and with every file that takes another's place: the time of a file's last change
 * (ctime) is set by the system alone. Undefined when a file changed a moment ago, since the clock of a file system
 * stands still between two ticks, and a further change might not show.
 */
export function identityOf(
  files: readonly TensorFile[],
  config: Gpt2Config,
  nowMs = Date.now(),
): string | undefined {
  const facts = files.map((file) => {
    const { ino, size, mtimeNs, ctimeNs } = file.stat();
    const path = realpathSync(file.path);
    return { path, header: file.headerHash, numbers: [ino, size, mtimeNs, ctimeNs].map(String), ctimeNs };
  });
  const isSettled = facts.every(({ ctimeNs }) => {
    const ageMs = nowMs - Number(ctimeNs / 1_000_000n);
    return ageMs > (ctimeNs % 1_000_000_000n === 0n ? COARSE_TICK_MS : FINE_TICK_MS);
  });
  return isSettled ? JSON.stringify([config, facts.map(({ ctimeNs, ...fact }) => fact)]) : undefined;
}

/** Longest ticks of file systems that keep whole seconds, and of the others; with room to spare. */
const COARSE_TICK_MS = 3000;
const FINE_TICK_MS = 100;
