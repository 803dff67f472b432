// How many threads are worth starting: as many as this process has cores, or as a container's CPU quota pays for. Node's
// `availableParallelism()` knows the cores; quotas it knows in some releases only, on version 2 of control groups only.
// The speed of the cores is not looked at.
import { availableParallelism } from "node:os";
import { posix } from "node:path";
import { type ControlGroup, controlGroups } from "./control-groups.ts";
import { type ReadText, readKernelFile } from "./kernel-files.ts";

/** What a control group allows: so many cores' worth of time, which need not be whole. */
export interface CpuQuota {
  readonly cores: number;
  /** The file that says so. */
  readonly file: string;
}

export interface Cpus {
  /** Cores that the process may run on. */
  readonly cores: number;
  /** The narrowest quota of the process's control groups; undefined: none. */
  readonly quota: CpuQuota | undefined;
  /** Threads that are worth starting. */
  readonly threads: number;
}

/**
 * A quota is rounded up, to one thread at least. A fraction of a core is worth a thread: on two cores with a quota of
 * 1.5 two threads were a fifth faster than one, at 1.3 a tenth, at 1.0 a sixth slower.
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

/** Microseconds of processor time in a period, over the length of the period. */
function quotaOf({ version, folder }: ControlGroup, read: ReadText): CpuQuota | undefined {
  const file = posix.join(folder, version === 2 ? "cpu.max" : "cpu.cfs_quota_us");
  // Version 2 has both numbers in one file, "max" for no quota; version 1 has -1 for none.
  const [quota, period] =
    version === 2
      ? (read(file) ?? "").trim().split(" ")
      : [read(file), read(posix.join(folder, "cpu.cfs_period_us"))];
  const cores = Number(quota ?? Number.NaN) / Number(period ?? Number.NaN);
  return Number.isFinite(cores) && cores > 0 ? { cores, file } : undefined;
}

/** Cores that are switched on and that the process may run on (`taskset`, cpusets). Linux only. */
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
 * The threads to start where `--threads` says `asked`: 0 is as many as are worth it. More than that are started too,
 * and `onProblem` is told: they take cores from each other, and who is interrupted in its work holds up the others.
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

/** Words for where the number of threads comes from, as in "2 that …". */
export function cpuReason({ cores, quota, threads }: Cpus): string {
  if (quota !== undefined && threads < cores)
    return `a CPU quota of ${round(quota.cores)} pays for (${quota.file})`;
  return "this process has cores for";
}

function round(cores: number): string {
  return String(Number(cores.toFixed(2)));
}
