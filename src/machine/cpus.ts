// How many threads are worth starting: one for each core of this process, or as many as a container's CPU quota pays for.
// Node's `availableParallelism()` knows the cores, but quotas only in some releases and only for version 2 of control groups.
// The speed of the cores is not considered.
import { availableParallelism } from "node:os";
import { posix } from "node:path";
import { type ControlGroup, controlGroups } from "./control-groups.ts";
import { type ReadText, readKernelFile } from "./kernel-files.ts";

/** A control group's quota: cores' worth of processor time, not always a whole number. */
export interface CpuQuota {
  readonly cores: number;
  /** The file that holds the quota. */
  readonly file: string;
}

export interface Cpus {
  /** Cores that the process may run on. */
  readonly cores: number;
  /** The narrowest quota of the process's control groups; undefined: none. */
  readonly quota: CpuQuota | undefined;
  /** The number of threads worth starting. */
  readonly threads: number;
}

/**
 * A quota is rounded up, and is at least one thread. A fraction of a core is worth a thread: on two cores, two threads
 * were a fifth faster than one under a quota of 1.5, a tenth faster under 1.3, and a sixth slower under 1.0.
 */
export function usableCpus(read: ReadText = readKernelFile, parallelism = availableParallelism()): Cpus {
  const cores = allowedCores(read) ?? parallelism;
  const quota = cpuQuota(read);
  const paid = quota === undefined ? cores : Math.max(1, Math.ceil(quota.cores));
  return { cores, quota, threads: Math.min(cores, paid) };
}

/** The narrowest quota of all groups that bind this process. */
function cpuQuota(read: ReadText): CpuQuota | undefined {
  const quotas = controlGroups("cpu", read).flatMap((group) => quotaOf(group, read) ?? []);
  return quotas.sort((a, b) => a.cores - b.cores)[0];
}

/** Processor time in a period over the length of the period, both in microseconds. */
function quotaOf({ version, folder }: ControlGroup, read: ReadText): CpuQuota | undefined {
  const file = posix.join(folder, version === 2 ? "cpu.max" : "cpu.cfs_quota_us");
  // Version 2 has both numbers in one file, and "max" for no quota. Version 1 has -1 for no quota.
  const [quota, period] =
    version === 2
      ? (read(file) ?? "").trim().split(" ")
      : [read(file), read(posix.join(folder, "cpu.cfs_period_us"))];
  const cores = Number(quota ?? Number.NaN) / Number(period ?? Number.NaN);
  return Number.isFinite(cores) && cores > 0 ? { cores, file } : undefined;
}

/** Cores that are online and that the process may use (`taskset`, cpusets). Linux only. */
function allowedCores(read: ReadText): number | undefined {
  const allowed = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(read("/proc/self/status") ?? "")?.[1];
  const online = read("/sys/devices/system/cpu/online")?.trim();
  if (allowed === undefined || !online) return undefined;
  const isOnline = new Set(members(online));
  return members(allowed).filter((cpu) => isOnline.has(cpu)).length || undefined;
}

/** The numbers of a list such as `0-3,8`. */
function members(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * The number of threads to start for `--threads asked`; 0 means as many as are worth it. More are allowed, but
 * `onProblem` gets a warning: they compete for cores, and an interrupted thread holds up the others.
 */
export function threadsFor(
  asked: number,
  onProblem: (message: string) => void = () => {},
  cpus = usableCpus(),
): number {
  if (asked === 0) return cpus.threads;
  if (asked > cpus.threads) {
    onProblem(
      `--threads ${asked} is more than the ${cpus.threads} that ${cpuReason(cpus)}: the surplus makes it slower; ` +
        "--threads 0 takes what there is",
    );
  }
  return asked;
}

/** Words for the origin of the number of threads, as in "2 that …". */
export function cpuReason({ cores, quota, threads }: Cpus): string {
  if (quota !== undefined && threads < cores)
    return `a CPU quota of ${round(quota.cores)} pays for (${quota.file})`;
  return "this process has cores for";
}

function round(cores: number): string {
  return String(Number(cores.toFixed(2)));
}
