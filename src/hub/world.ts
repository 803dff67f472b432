// What the code of this folder takes from the machine: the clock, timers, random numbers, free disk space, and opening the
// file to write to. Tests pass a world of their own.
import { randomBytes } from "node:crypto";
import { type FileHandle, open, statfs } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";

export interface World {
  /** Milliseconds since 1970, comparable with the modification times of files. */
  now(): number;
  /** Resolves after `ms` milliseconds. Rejects with the signal's reason if it aborts first. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** From 0 up to 1. */
  random(): number;
  /** Eight hexadecimal digits. */
  randomName(): string;
  /** Free bytes on the folder's disk. Undefined: the system does not tell. */
  freeBytes(folder: string): Promise<number | undefined>;
  /** Opens a file for writing. */
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
