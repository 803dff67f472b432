// What the hub's code takes from the machine besides files and the network: the clock, waits, chance, and the room on a
// disk. Tests bring their own.
import { randomBytes } from "node:crypto";
import { type FileHandle, open, statfs } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";

export interface World {
  /** Milliseconds since 1970, as the times of files have them. */
  now(): number;
  /** Resolves after `ms`, rejects with the signal's reason when that comes first. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** From 0 up to 1. */
  random(): number;
  /** Eight hexadecimal digits. */
  randomName(): string;
  /** Bytes that may still be written to the folder's disk; undefined where the system does not tell. */
  freeBytes(folder: string): Promise<number | undefined>;
  /** Opens a file to be written. */
  open(path: string, flags: string): Promise<FileHandle>;
}

export const WORLD: World = {
  now: () => Date.now(),
  wait: (ms, signal) =>
    wait(ms, undefined, { signal }).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : error;
    }),
  random: () => Math.random(),
  randomName: () => randomBytes(4).toString("hex"),
  freeBytes: (folder) =>
    statfs(folder).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => undefined,
    ),
  open: (path, flags) => open(path, flags, 0o666),
};
