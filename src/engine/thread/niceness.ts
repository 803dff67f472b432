// Lowers the scheduling priority of the computing threads, so that the thread that answers the network comes first.
import * as os from "node:os";

/** Enough that the network's thread gets a core immediately when it wakes up. */
const NICENESS = 5;

interface System {
  readonly platform: string;
  readonly getPriority: (id: number) => number;
  readonly setPriority: (id: number, niceness: number) => void;
}

/**
 * Lowers the priority of the calling thread and of all threads that it starts. If a sandbox forbids it, such as systemd's
 * `SystemCallFilter=~@resources`, the priority stays as it is.
 */
export function giveWay(system: System = { ...os, platform: process.platform }): void {
  // Linux has a niceness for each thread. Elsewhere this would change the whole process.
  if (system.platform !== "linux") return;
  try {
    if (system.getPriority(0) < NICENESS) system.setPriority(0, NICENESS);
  } catch {}
}
