// How much the threads that compute give way to the one that answers the network.
import * as os from "node:os";

/** Enough that the thread of the network gets a core at once when it wakes. */
const NICENESS = 5;

interface System {
  readonly platform: string;
  readonly getPriority: (id: number) => number;
  readonly setPriority: (id: number, niceness: number) => void;
}

/**
 * Makes the calling thread, and all that it starts, less urgent. A wish: where it is forbidden, as systemd's
 * `SystemCallFilter=~@resources` and other sandboxes do, the threads stay as urgent as they are.
 */
export function giveWay(system: System = { ...os, platform: process.platform }): void {
  // Linux knows a niceness for each thread; elsewhere it would be the whole process's.
  if (system.platform !== "linux") return;
  try {
    if (system.getPriority(0) < NICENESS) system.setPriority(0, NICENESS);
  } catch {}
}
