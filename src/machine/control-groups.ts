// Linux control groups: folders whose files hold the limits of this process. A folder's limit covers everything below it,
// so a process is bound by its own group and by all groups above.
// Sources: cgroups(7); the kernel's admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/; proc(5) for the two files read.
import { posix } from "node:path";
import { type ReadText, readKernelFile } from "./kernel-files.ts";

/** The kinds of limits read here. Version 2 has all controllers in one tree, version 1 has a tree for each. */
export type Controller = "cpu" | "memory";

export interface ControlGroup {
  readonly version: 1 | 2;
  /** The folder with files such as `cpu.max`. */
  readonly folder: string;
}

interface Mount {
  readonly version: 1 | 2;
  /** The group that is mounted at `folder`. */
  readonly root: string;
  readonly folder: string;
}

/** The groups that bind this process, its own first, then upwards. Empty on systems without control groups. */
export function controlGroups(controller: Controller, read: ReadText = readKernelFile): ControlGroup[] {
  const paths = groupPaths(controller, read("/proc/self/cgroup") ?? "");
  return mounts(controller, read("/proc/self/mountinfo") ?? "").flatMap((mount) => {
    const path = paths[mount.version];
    if (path === undefined) return [];
    const folders = upwards(below(mount.root, path)).map((inner) => posix.join(mount.folder, inner));
    return folders.map((folder) => ({ version: mount.version, folder }));
  });
}

/** The process's path in each version's tree. A line reads `4:cpu,cpuacct:/path`; version 2's has no controllers. */
function groupPaths(controller: Controller, text: string): { 1?: string; 2?: string } {
  const paths: { 1?: string; 2?: string } = {};
  for (const line of text.split("\n")) {
    const [, id, controllers = "", path] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (id === "0" && controllers === "") paths[2] = path;
    else if (controllers.split(",").includes(controller)) paths[1] = path;
  }
  return paths;
}

/** Where the trees are mounted. A line reads `36 35 0:30 /root /folder options … - type source super-options`. */
function mounts(controller: Controller, text: string): Mount[] {
  return text.split("\n").flatMap((line): Mount[] => {
    const [head = "", tail = ""] = line.split(" - ");
    const [, , , root, folder] = head.split(" ").map(unescaped);
    const [type, , options = ""] = tail.split(" ");
    if (root === undefined || folder === undefined) return [];
    if (type === "cgroup2") return [{ version: 2, root, folder }];
    const isController = type === "cgroup" && options.split(",").includes(controller);
    return isController ? [{ version: 1, root, folder }] : [];
  });
}

/** Spaces and the like are written as octal numbers there: `\040`. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/**
 * The part of `path` below `root`. A container often sees its own group as the root of the mount, while the path is
 * written from the host's point of view, or missing. Then the mount itself is the group.
 */
function below(root: string, path: string): string {
  // A path from another namespace begins with `/..`.
  const inside = path.startsWith("/..") ? ".." : posix.relative(root, path);
  return inside === ".." || inside.startsWith("../") ? "" : inside;
}

/** `a/b`, `a` and the mount itself. */
function upwards(path: string): string[] {
  return path === "" ? [""] : [path, ...upwards(path.includes("/") ? posix.dirname(path) : "")];
}
