// The server under attack: starts it with key files and, for HTTPS, a certificate; reads its metrics; stops it.
// @ts-check
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { freePort, residentMbOf, sumOfMetric } from "../../bench/support/server-under-test.js";
import { signRequest } from "../../dist/src/sigv4/index.js";

export const ENDPOINT = "gpt-2";
const MAIN = "dist/src/cli/main.js";
const CERTIFICATE = {
  cert: "test/fixtures/tls/first-cert.pem",
  key: "test/fixtures/tls/first-key.pem",
};

/** @param {string} name */
export const keyOf = (name) => ({
  accessKeyId: `AKID${name.toUpperCase()}`,
  secretAccessKey: `chaos/secret+${name.padEnd(27, "0")}`,
});

/**
 * @param {boolean} isTls
 * @param {number} port
 */
export function signerFor(isTls, port) {
  const origin = `${isTls ? "https" : "http"}://127.0.0.1:${port}`;
  /**
   * @param {string} path
   * @param {string} body
   * @param {{ accessKeyId: string, secretAccessKey: string }} key
   */
  return (path, body, key) =>
    signRequest(
      { method: "POST", url: origin + path, body },
      { credential: key, region: "us-east-1", service: "sagemaker", now: new Date() },
    );
}

/** @typedef {Awaited<ReturnType<typeof startTarget>>} Target */

/**
 * @param {object} options
 * @param {boolean} options.isTls
 * @param {readonly string[]} options.keyNames whose keys are known
 * @param {readonly string[]} options.flags further settings
 */
export async function startTarget({ isTls, keyNames, flags }) {
  const adminPort = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "gpt2-api-chaos-"));
  const keyFile = join(directory, "keys.json");
  writeFileSync(keyFile, JSON.stringify({ keys: keyNames.map(keyOf) }), { mode: 0o600 });
  const argv = [
    MAIN,
    "serve",
    "--port",
    "0",
    "--admin-port",
    String(adminPort),
    "--log-level",
    "silent",
    "--credentials-file",
    keyFile,
    ...flags,
    ...(isTls ? ["--tls-cert", CERTIFICATE.cert, "--tls-key", CERTIFICATE.key] : []),
  ];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const port = await portOf(child);
  return {
    isTls,
    port,
    settings: settingsOf(argv),
    isRunning: () => child.exitCode === null && child.signalCode === null,
    residentMb: () => residentMbOf(child.pid),
    sign: signerFor(isTls, port),
    /** The sum of a metric over its labels. @param {string} name */
    async metric(name) {
      return sumOfMetric(await textOf(`http://127.0.0.1:${adminPort}/metrics`), name);
    },
    /** Whether /readyz succeeds. */
    isReady: () =>
      textOf(`http://127.0.0.1:${adminPort}/readyz`).then(
        () => true,
        () => false,
      ),
    /** Asks it to stop. Resolves with the result. A server that does not end is killed after a minute. */
    async stop() {
      const began = performance.now();
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), 60_000);
      const [code, signal] = await exited;
      clearTimeout(killer);
      process.off("exit", killAtExit);
      rmSync(directory, { recursive: true, force: true });
      return { code: code ?? signal, ms: performance.now() - began };
    },
  };
}

const START_TIMEOUT_MS = 60_000;
const ANSWER_TIMEOUT_MS = 5000;

/** @param {string} url of the admin port */
async function textOf(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}.`);
  return response.text();
}

/**
 * The port on which it says that it listens.
 * @param {import("node:child_process").ChildProcessByStdio<null, import("node:stream").Readable, null>} child
 * @returns {Promise<number>}
 */
function portOf(child) {
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = () => reject(new Error(`The server did not start: ${output}`));
    const timer = setTimeout(fail, START_TIMEOUT_MS);
    child.once("exit", fail);
    // Keeps reading, because a full pipe would block the server.
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      output += chunk;
      const [, port] = /^# https?:\/\/[^/\s]+:(\d+)/m.exec(output) ?? [];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    });
  });
}

/**
 * The settings in force, by flag.
 * @param {readonly string[]} argv
 * @returns {Record<string, any>}
 */
function settingsOf(argv) {
  const { stdout } = spawnSync(process.execPath, [...argv, "--print-config"], {
    encoding: "utf8",
    timeout: 30_000,
  });
  const lines = stdout.split("\n").map((line) => /^--(\S+)\s+(\S+)/.exec(line));
  return Object.fromEntries(
    lines.flatMap((match) => (match ? [[match[1], JSON.parse(match[2] ?? "null")]] : [])),
  );
}
