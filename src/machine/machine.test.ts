// The machine as the kernel's files tell of it: trees of text in place of /proc and /sys.
import assert from "node:assert/strict";
import { test } from "node:test";
import { controlGroups } from "./control-groups.ts";
import { threadsFor, usableCpus } from "./cpus.ts";
import { processLimit } from "./kernel-files.ts";
import { memoryAvailable, memoryLimit } from "./memory.ts";

type Tree = Readonly<Record<string, string>>;
const GIB = 2 ** 30;

const reader = (tree: Tree) => (path: string) => tree[path];
const folders = (controller: "cpu" | "memory", tree: Tree): string[] =>
  controlGroups(controller, reader(tree)).map(({ version, folder }) => `${version} ${folder}`);

/** As a current distribution mounts them. */
const V2 = "35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
/** As older ones do; two controllers share a tree. */
const V1 = [
  "36 35 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct",
  "37 35 0:32 / /sys/fs/cgroup/cpuset rw shared:11 - cgroup cgroup rw,cpuset",
  "38 35 0:33 / /sys/fs/cgroup/memory rw shared:12 - cgroup cgroup rw,memory",
  "39 35 0:34 / /sys/fs/cgroup/unified rw shared:13 - cgroup2 cgroup2 rw\n",
].join("\n");
/** Four cores, of which a mask leaves as many as asked for. */
const cores = (allowed: string): Tree => ({
  "/proc/self/status": `Name:\tnode\nCpus_allowed:\tf\nCpus_allowed_list:\t${allowed}\nMems_allowed:\t1\n`,
  "/sys/devices/system/cpu/online": "0-3\n",
});

test("the groups of a process are its own and all above it, in the tree of each version", () => {
  const v2 = { "/proc/self/mountinfo": V2, "/proc/self/cgroup": "0::/system.slice/a b.service\n" };
  assert.deepEqual(folders("cpu", v2), [
    "2 /sys/fs/cgroup/system.slice/a b.service",
    "2 /sys/fs/cgroup/system.slice",
    "2 /sys/fs/cgroup",
  ]);
  const v1 = {
    "/proc/self/mountinfo": V1,
    "/proc/self/cgroup": "12:cpuset:/set\n4:cpu,cpuacct:/a/b\n3:memory:/m\n0::/\n",
  };
  assert.deepEqual(folders("cpu", v1), [
    "1 /sys/fs/cgroup/cpu,cpuacct/a/b",
    "1 /sys/fs/cgroup/cpu,cpuacct/a",
    "1 /sys/fs/cgroup/cpu,cpuacct",
    "2 /sys/fs/cgroup/unified",
  ]);
  assert.deepEqual(folders("memory", v1), [
    "1 /sys/fs/cgroup/memory/m",
    "1 /sys/fs/cgroup/memory",
    "2 /sys/fs/cgroup/unified",
  ]);
  assert.deepEqual(folders("cpu", {}), []);
});

test("inside a container the mount may begin at the container's own group", () => {
  const tree = (root: string, path: string): Tree => ({
    "/proc/self/mountinfo": `5 4 0:3 ${root} /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n`,
    "/proc/self/cgroup": `4:cpu:${path}\n`,
  });
  const own = ["1 /sys/fs/cgroup/cpu"];
  assert.deepEqual(folders("cpu", tree("/docker/abc", "/docker/abc")), own);
  assert.deepEqual(folders("cpu", tree("/docker/abc", "/docker/abcdef")), own);
  assert.deepEqual(folders("cpu", tree("/docker/abc", "/")), own);
  assert.deepEqual(folders("cpu", tree("/", "/../sibling")), own);
  assert.deepEqual(folders("cpu", tree("/docker/abc", "/docker/abc/in")), [
    "1 /sys/fs/cgroup/cpu/in",
    "1 /sys/fs/cgroup/cpu",
  ]);
  const spaced = tree("/", "/");
  const mountinfo = (spaced["/proc/self/mountinfo"] ?? "").replace("/sys/fs/cgroup/cpu", "/my\\040groups");
  assert.deepEqual(folders("cpu", { ...spaced, "/proc/self/mountinfo": mountinfo }), ["1 /my groups"]);
});

test("cores are those that are switched on and allowed; where Linux does not say, Node does", () => {
  const count = (tree: Tree): number => usableCpus(reader(tree), 7).cores;
  assert.equal(count(cores("0-3")), 4);
  assert.equal(count(cores("1,3")), 2);
  assert.equal(count(cores("0-127")), 4);
  assert.equal(count(cores("2-2")), 1);
  assert.equal(count({}), 7);
  assert.equal(count({ ...cores("0-3"), "/sys/devices/system/cpu/online": "" }), 7);
});

test("a CPU quota of version 2 is rounded up to whole threads, one at least", () => {
  const threads = (quota: string): number =>
    usableCpus(
      reader({
        ...cores("0-3"),
        "/proc/self/mountinfo": V2,
        "/proc/self/cgroup": "0::/a/b\n",
        "/sys/fs/cgroup/a/b/cpu.max": `${quota}\n`,
      }),
    ).threads;
  assert.equal(threads("max 100000"), 4);
  assert.equal(threads("25000 100000"), 1);
  assert.equal(threads("100000 100000"), 1);
  assert.equal(threads("110000 100000"), 2);
  assert.equal(threads("150000 50000"), 3);
  assert.equal(threads("3200000 100000"), 4);
  assert.equal(threads(""), 4);
});

test("the narrowest quota counts, wherever above the process it stands", () => {
  const files = {
    ...cores("0-3"),
    "/proc/self/mountinfo": V2,
    "/proc/self/cgroup": "0::/a/b\n",
    "/sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
    "/sys/fs/cgroup/a/cpu.max": "150000 100000\n",
    "/sys/fs/cgroup/cpu.max": "max 100000\n",
  };
  const { quota, threads } = usableCpus(reader(files));
  assert.deepEqual([quota, threads], [{ cores: 1.5, file: "/sys/fs/cgroup/a/cpu.max" }, 2]);
});

test("a CPU quota of version 1 stands in two files, and −1 is none", () => {
  const cpus = (quota: string, period = "100000") =>
    usableCpus(
      reader({
        ...cores("0-3"),
        "/proc/self/mountinfo": V1,
        "/proc/self/cgroup": "4:cpu,cpuacct:/a\n0::/\n",
        "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": `${quota}\n`,
        "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": `${period}\n`,
      }),
    );
  assert.equal(cpus("-1").threads, 4);
  assert.equal(cpus("100000").threads, 1);
  assert.equal(cpus("100000", "50000").threads, 2);
  assert.equal(cpus("100000").quota?.file, "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us");
});

test("--threads 0 takes what there is; more than that is taken too, with a sentence", () => {
  const problems: string[] = [];
  const threads = (asked: number, quota?: { cores: number; file: string }): number =>
    threadsFor(asked, (message) => problems.push(message), { cores: 4, quota, threads: quota ? 2 : 4 });
  const quota = { cores: 1.5, file: "/cpu.max" };
  assert.deepEqual(
    [threads(0), threads(4), threads(1), threads(0, quota), threads(2, quota)],
    [4, 4, 1, 2, 2],
  );
  assert.deepEqual(problems, []);
  assert.deepEqual([threads(5), threads(3, quota)], [5, 3]);
  assert.match(problems[0] ?? "", /^--threads 5 is more than the 4 that this process has cores for: /);
  assert.match(
    problems[1] ?? "",
    /^--threads 3 is more than the 2 that a CPU quota of 1\.5 pays for \(\/cpu\.max\): /,
  );
});

test("the memory limit is the narrowest of all groups', or the machine's", () => {
  const v2 = (own: string, above = "max"): Tree => ({
    "/proc/self/mountinfo": V2,
    "/proc/self/cgroup": "0::/a/b\n",
    "/sys/fs/cgroup/a/b/memory.max": `${own}\n`,
    "/sys/fs/cgroup/a/memory.max": `${above}\n`,
  });
  const limit = (tree: Tree) => memoryLimit(reader(tree), 8 * GIB);
  assert.deepEqual(limit({}), { bytes: 8 * GIB, file: undefined });
  assert.deepEqual(limit(v2("max")), { bytes: 8 * GIB, file: undefined });
  assert.deepEqual(limit(v2(`${GIB}`)), { bytes: GIB, file: "/sys/fs/cgroup/a/b/memory.max" });
  assert.deepEqual(limit(v2("max", `${2 * GIB}`)).file, "/sys/fs/cgroup/a/memory.max");
  assert.deepEqual(limit(v2(`${9 * GIB}`)).file, undefined);
  const v1 = (bytes: string): Tree => ({
    "/proc/self/mountinfo": V1,
    "/proc/self/cgroup": "3:memory:/m\n0::/\n",
    "/sys/fs/cgroup/memory/m/memory.limit_in_bytes": `${bytes}\n`,
  });
  assert.equal(limit(v1("9223372036854771712")).file, undefined);
  assert.deepEqual(limit(v1("268435456")), {
    bytes: 268435456,
    file: "/sys/fs/cgroup/memory/m/memory.limit_in_bytes",
  });
});

test("available memory and the limits of the process", () => {
  const meminfo = "MemTotal:       100 kB\nMemFree:         10 kB\nMemAvailable:    64 kB\n";
  assert.equal(memoryAvailable(reader({ "/proc/meminfo": meminfo })), 65536);
  assert.equal(memoryAvailable(reader({})), undefined);
  const limits = {
    "/proc/self/limits": [
      "Limit                     Soft Limit           Hard Limit           Units     ",
      "Max open files            1024                 4096                 files     ",
      "Max address space         unlimited            unlimited            bytes     ",
    ].join("\n"),
  };
  assert.equal(processLimit("Max open files", reader(limits)), 1024);
  assert.equal(processLimit("Max address space", reader(limits)), undefined);
});
