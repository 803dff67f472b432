// The identity of a checkpoint's files, for the cache of packed weights: it changes when they change. It is no hash of the contents,
// because that would take as long as packing them (docs/adr/0007-weight-cache.md).
import { realpathSync } from "node:fs";
import type { Gpt2Config } from "../gpt2-config.ts";
import type { TensorFile } from "./tensor.ts";

/**
 * A text that changes with every write to a file, and when a file is replaced: it contains the ctime, which only the system can
 * set. Undefined if a file changed a moment ago. The clock of a file system has ticks, so another change within the same tick
 * would not be visible.
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

/** The longest tick of file systems that store whole seconds, and of all others. With a margin. */
const COARSE_TICK_MS = 3000;
const FINE_TICK_MS = 100;
