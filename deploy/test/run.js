// npm run test:deploy [-- NAME…]: the tests of deployments, each with a stopwatch; without a name all of them, with --quick those
// that every change goes through. A test sets up what it needs, and names the package of a program that is missing.
// @ts-check
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DEPLOY, needs, nodePackages, pythonEnvironment, ROOT, run } from "./support.js";

/** @param {string} file @param {string[]} argv @returns {() => [string, string[]]} */
const node =
  (file, ...argv) =>
  () => [process.execPath, [join(DEPLOY, "test", file), ...argv]];
/** @param {string} group @returns {() => [string, string[]]} */
const python =
  (group, file = `${group}.py`) =>
  () => [join(pythonEnvironment(group), "python"), [join(DEPLOY, "test", file)]];

/** In a network, with mounts and processes of its own, all of which end with it. */
const cluster = () => {
  needs("buildah", "conntrack", "containerd", "etcd", "iptables", "openssl", "podman", "prometheus", "runc");
  pythonEnvironment("manifests");
  nodePackages();
  run("bash", [join(DEPLOY, "test/kubernetes/build.sh"), join(DEPLOY, "test/.kubernetes")]);
  const own = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
  return /** @type {[string, string[]]} */ ([
    "unshare",
    [...own, process.execPath, join(DEPLOY, "test/kubernetes/kubernetes.js")],
  ]);
};

/** @type {Readonly<Record<string, {command: () => [string, string[]], isQuick?: boolean}>>} */
const TESTS = {
  manifests: { command: node("manifests.js"), isQuick: true },
  systemd: { command: node("systemd.js"), isQuick: true },
  prometheus: { command: node("prometheus.js"), isQuick: true },
  haproxy: { command: node("proxies.js", "haproxy"), isQuick: true },
  nginx: { command: node("proxies.js", "nginx"), isQuick: true },
  envoy: { command: node("proxies.js", "envoy") },
  sagemaker: { command: python("sagemaker", "sagemaker_stack.py") },
  image: { command: () => ["bash", [join(DEPLOY, "test/image.sh")]] },
  "sagemaker-local": { command: python("sagemaker-local", "sagemaker_local.py") },
  compose: { command: () => ["bash", [join(DEPLOY, "test/compose.sh")]] },
  kubernetes: { command: cluster },
  ray: { command: python("ray", "ray_serve.py") },
  "systemd-run": { command: () => ["bash", [join(DEPLOY, "test/systemd-run.sh")]] },
};

const argv = process.argv.slice(2);
const named = argv.filter((name) => !name.startsWith("-"));
const unknown = named.find((name) => !Object.hasOwn(TESTS, name));
if (unknown !== undefined) {
  console.error(`There is no test ${unknown}; there are ${Object.keys(TESTS).join(", ")}.`);
  process.exit(2);
}
if (!existsSync(join(ROOT, "dist/src/cli/main.js"))) {
  console.error("The server is not built: npm run build");
  process.exit(2);
}
const isQuick = argv.includes("--quick");
let failed = 0;
for (const [name, test] of Object.entries(TESTS)) {
  if (named.length > 0 ? !named.includes(name) : isQuick && !test.isQuick) continue;
  const began = performance.now();
  const [program, words] = test.command();
  const { status, error } = spawnSync(program, words, { stdio: "inherit", cwd: ROOT });
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`${name}: ${status === 0 ? "ok" : `FAILED ${error ?? ""}`} in ${seconds} s`);
  if (status !== 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
