// The checks of `doctor` about the machine. Every check is a pure function; the facts are gathered elsewhere.
import { type Cpus, cpuReason } from "../../machine/cpus.ts";
import type { MemoryLimit } from "../../machine/memory.ts";
import { limitInWords, mib } from "../../machine/memory-budget.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

const GIB = 2 ** 30;

/** `version`: `process.version`; `needed`: `engines.node` of package.json, such as `>=20.19`. */
export function nodeCheck(version: string, needed: string): Finding {
  const [major = 0, minor = 0] = numbers(version);
  const [majorNeeded = 0, minorNeeded = 0] = numbers(needed);
  const isEnough = major > majorNeeded || (major === majorNeeded && minor >= minorNeeded);
  if (isEnough) return ok("node", `Node ${version}`);
  return problem(
    "node",
    `Node ${version} is older than ${majorNeeded}.${minorNeeded}`,
    "Install a newer Node",
  );
}

function numbers(version: string): number[] {
  return (/\d+(\.\d+)*/.exec(version)?.[0] ?? "").split(".").map(Number);
}

export interface KernelFacts {
  /** The kernels in use: an instruction set of the native ones, or a build of the WebAssembly ones. */
  readonly build: string;
  readonly choice: "auto" | "wasm";
  /** `process.arch`. */
  readonly arch: string;
  /** Whether the file of the native kernels exists, and why it cannot be loaded. */
  readonly isBuilt: boolean;
  readonly loadError: string | undefined;
  /** Why native kernels that can be loaded are not used. */
  readonly fault: string | undefined;
  /** The processor's instruction sets, with Linux's names; undefined if not known. */
  readonly processorFlags: readonly string[] | undefined;
}

/** Instructions that each set of native kernels needs, the best set first. */
const NEEDED_FLAGS = {
  "avx512-vnni": ["avx512f", "avx512bw", "avx512vl", "avx512_vnni"],
  avx2: ["avx2"],
} as const;

/** Which kernels are used, and why not faster ones. */
export function kernelCheck(facts: KernelFacts): Finding {
  const { build, choice, arch, isBuilt, loadError, fault, processorFlags } = facts;
  const what = "kernels";
  const isNative = Object.hasOwn(NEEDED_FLAGS, build);
  const says = isNative ? `native, ${build}` : `WebAssembly, ${build}`;
  if (choice === "wasm") return ok(what, `${says}, because --kernels wasm says so`);
  if (fault !== undefined) {
    return warning(
      what,
      `${says}: faster native kernels are not used, because ${fault}`,
      "Reinstall the package, or build it on this machine: npm run build:native",
    );
  }
  if (isNative) {
    const lacking = NEEDED_FLAGS["avx512-vnni"].filter((flag) => !processorFlags?.includes(flag));
    const isBest = build === "avx512-vnni" || lacking.length === 0;
    return ok(what, isBest ? says : `${says}; for faster ones the processor lacks ${lacking.join(", ")}`);
  }
  if (arch !== "x64")
    return ok(what, `${says}; there are native kernels for x86-64 only, and this is ${arch}`);
  if (!isBuilt) {
    return warning(
      what,
      `${says}: the native kernels, several times as fast, were not built`,
      "Install a C compiler and run: npm run build:native",
    );
  }
  if (loadError !== undefined) {
    return warning(
      what,
      `${says}: the native kernels, several times as fast, cannot be loaded (${loadError})`,
      "Reinstall the package, or build it on this machine: npm run build:native",
    );
  }
  return ok(what, `${says}; for native ones the processor lacks ${NEEDED_FLAGS.avx2.join(", ")}`);
}

/** `asked`: the setting; 0 means as many as there are. */
export function threadCheck(asked: number, cpus: Cpus): Finding {
  const what = "threads";
  const { cores, quota, threads } = cpus;
  if (asked > threads) {
    return warning(
      what,
      `--threads ${asked} is more than the ${threads} that ${cpuReason(cpus)}`,
      "Leave --threads out, or lower it",
    );
  }
  const used = asked === 0 ? threads : asked;
  if (quota !== undefined && quota.cores < 1) {
    return warning(
      what,
      `1 thread, and a CPU quota of ${quota.cores.toFixed(2)} cores (${quota.file}) stops it for part of the time`,
      "Give the container a whole core",
    );
  }
  return ok(what, `${used} of the ${threads} that ${cpuReason({ cores, quota, threads })}`);
}

export interface MemoryFacts {
  readonly limit: MemoryLimit;
  /** Memory that is available without swapping; undefined if not known. */
  readonly available: number | undefined;
  /** Why the model does not fit, or fits only while idle; see `MemoryBudget.claim`. */
  readonly refusal: string | undefined;
  readonly warning: string | undefined;
  /** Memory of the model and the process under full load. */
  readonly need: number;
}

export function memoryCheck(facts: MemoryFacts): Finding {
  const { limit, available, refusal, need } = facts;
  const what = "memory";
  const remedy = "Lower --kv-cache-mb, take a smaller checkpoint, or give it more memory";
  if (refusal !== undefined) return problem(what, refusal, remedy);
  if (facts.warning !== undefined) return warning(what, facts.warning, remedy);
  const says = `${mib(need)} MiB are needed under full load, and there is ${limitInWords(limit)}`;
  if (available !== undefined && available < need) {
    return warning(
      what,
      `${says}, of which other processes leave ${mib(available)} MiB`,
      "Stop something else, or lower --kv-cache-mb",
    );
  }
  return ok(what, says);
}

/** V8 reserves 10 GiB of address space around every WebAssembly memory, and Node needs some of its own. */
const ADDRESS_SPACE_MIN = 13 * GIB;

/** `limit` in bytes; undefined if there is none. */
export function addressSpaceCheck(limit: number | undefined): Finding {
  const what = "addresses";
  if (limit === undefined) return ok(what, "The address space is not limited");
  const says = `The address space is limited to ${(limit / GIB).toFixed(1)} GiB`;
  if (limit >= ADDRESS_SPACE_MIN) return ok(what, says);
  return problem(
    what,
    `${says}, and WebAssembly reserves 10 GiB of it for any memory`,
    "Run it without the limit (ulimit -v unlimited)",
  );
}

/** Files that are open at once at the start, and beside the connections later. */
const FILES_MIN = 256;
const FILES_BESIDES = 64;

/** `limit`: number of file descriptors; undefined if there is no limit. */
export function openFilesCheck(limit: number | undefined, connectionsMax: number): Finding {
  const what = "files";
  if (limit === undefined) return ok(what, "The number of open files is not limited");
  const says = `${limit} files may be open`;
  if (limit < FILES_MIN) {
    return problem(
      what,
      `${says}, and a start opens up to ${FILES_MIN}`,
      `Raise the limit: ulimit -n ${FILES_MIN}`,
    );
  }
  if (limit < connectionsMax + FILES_BESIDES) {
    return warning(
      what,
      `${says}, which is too few for the ${connectionsMax} connections of --connections-max`,
      `Raise the limit (ulimit -n ${connectionsMax + FILES_BESIDES}), or lower --connections-max`,
    );
  }
  return ok(what, says);
}

export interface BandwidthFacts {
  /** Memory bandwidth for reading, in bytes per second. */
  readonly bandwidth: number;
  readonly threads: number;
  /** Bytes of weights that every pass reads; undefined if no model was loaded. */
  readonly weights: number | undefined;
}

const BANDWIDTH_MIN = 2e9;

/** The limit for one request's speed: every token reads all weights from memory. */
export function bandwidthCheck({ bandwidth, threads, weights }: BandwidthFacts): Finding {
  const what = "bandwidth";
  const limit =
    weights === undefined
      ? ""
      : `: at most ${(bandwidth / weights).toFixed(0)} tokens a second for one request`;
  const says = `${(bandwidth / 1e9).toFixed(1)} GB/s with ${threads} ${threads === 1 ? "thread" : "threads"}${limit}`;
  if (bandwidth >= BANDWIDTH_MIN) return ok(what, says);
  return warning(
    what,
    `${says}, far below that of a machine without other load`,
    "See what else runs, and what the container is allowed",
  );
}
