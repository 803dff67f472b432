// What the tests of deployments share: tools and where they come from, Python environments, programs that are started and
// stopped, and files of ours with the addresses of a test.
// @ts-check
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const DEPLOY = fileURLToPath(new URL("../", import.meta.url));
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const MAIN = join(ROOT, "dist/src/cli/main.js");

/** Programs of the system, and the Debian packages that hold them. */
const PACKAGES = {
  buildah: "buildah",
  conntrack: "conntrack",
  containerd: "containerd",
  etcd: "etcd-server",
  haproxy: "haproxy",
  iptables: "iptables",
  nginx: "nginx-light",
  openssl: "openssl",
  podman: "podman",
  prometheus: "prometheus",
  promtool: "prometheus",
  runc: "runc",
  "systemd-analyze": "systemd",
};

/**
 * Ends the test where a program is missing, with the package to install.
 * @param {readonly (keyof typeof PACKAGES)[]} programs
 */
export function needs(...programs) {
  const missing = programs.filter((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => PACKAGES[program]))].join(" ");
  throw new Error(
    `${missing.join(", ")}: not on this machine; apt-get install --no-install-recommends ${packages}`,
  );
}

/**
 * A Python environment with a group of requirements, made or made anew when they changed.
 * @param {string} group of the file `requirements-GROUP.txt` beside this one
 * @returns {string} its folder of programs
 */
export function pythonEnvironment(group) {
  const folder = join(DEPLOY, "test/.venv", group);
  const requirements = join(DEPLOY, `test/requirements-${group}.txt`);
  const installed = join(folder, "installed.txt");
  const wanted = readFileSync(requirements, "utf8");
  if (!existsSync(installed) || readFileSync(installed, "utf8") !== wanted) {
    run("python3", ["-m", "venv", folder]);
    run(join(folder, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", "-r", requirements]);
    writeFileSync(installed, wanted);
  }
  return join(folder, "bin");
}

/** Installs what package.json beside this file names. */
export function nodePackages() {
  const folder = join(DEPLOY, "test");
  if (existsSync(join(folder, "node_modules/yaml"))) return;
  run("npm", ["install", "--prefix", folder, "--no-package-lock", "--no-audit", "--no-fund", "--silent"]);
}

/**
 * Runs a program to its end.
 * @param {string} program
 * @param {readonly string[]} argv
 * @param {{input?: string, cwd?: string, env?: NodeJS.ProcessEnv}} [options]
 * @returns {string} what it wrote
 */
export function run(program, argv, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, argv, {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    ...options,
  });
  if (error) throw error;
  if (status === 0) return stdout;
  throw new Error(`${program} ${argv.join(" ")} ended with ${status}\n${stdout}${stderr}`);
}

/** What is undone at the end of a test, the last first. @type {(() => unknown)[]} */
const undo = [];

/** @param {() => unknown} action */
export function atEnd(action) {
  undo.push(action);
}

/** A folder that ends with the test. */
export function scratch() {
  const path = mkdtempSync(join(tmpdir(), "gpt2-api-deploy-"));
  atEnd(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/**
 * Starts a program that runs until the end of the test; what it writes is shown if it ends before.
 * @param {string} program
 * @param {readonly string[]} argv
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv}} [options]
 */
export function start(program, argv, options = {}) {
  const child = spawn(program, argv, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output = (output + text).slice(-8000);
    });
  }
  let isWanted = true;
  child.once("exit", (code, signal) => {
    if (isWanted) console.error(`${program} ended with ${code ?? signal}\n${output}`);
  });
  const stop = async () => {
    isWanted = false;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  };
  atEnd(stop);
  return { child, stop, output: () => output };
}

/**
 * Asks until an answer is as it should be; the test ends where none is in time.
 * @param {string} what
 * @param {() => Promise<boolean>} isSo may throw
 */
export async function eventually(what, isSo, seconds = 30) {
  const end = performance.now() + seconds * 1000;
  let last;
  while (performance.now() < end) {
    last = undefined;
    try {
      if (await isSo()) return;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: not within ${seconds} seconds`, { cause: last });
}

/** @param {string} url */
export async function isOk(url) {
  return (await fetch(url)).ok;
}

/**
 * A file of ours with other words in the place of some, each of which must be there.
 * @param {string} file below deploy/
 * @param {Readonly<Record<string, string>>} changes
 */
export function changed(file, changes) {
  let text = readFileSync(join(DEPLOY, file), "utf8");
  for (const [from, to] of Object.entries(changes)) {
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** @param {boolean} isSo @param {string} otherwise */
export function must(isSo, otherwise) {
  if (!isSo) throw new Error(otherwise);
}

/**
 * Runs a test and ends the process.
 * @param {() => Promise<void>} test
 */
export async function main(test) {
  let code = 0;
  try {
    await test();
  } catch (error) {
    console.error(error);
    code = 1;
  }
  for (const action of undo.reverse()) {
    try {
      await action();
    } catch (error) {
      console.error(error);
      code = 1;
    }
  }
  process.exit(code);
}
