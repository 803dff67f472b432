// The server of benchmarks and conformance suites: starts the built command on loopback, and reads its metrics.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

export const KEY = {
  accessKeyId: "AKIDCONFORMANCE",
  secretAccessKey: "conformance/secret+0123456789abcdefghijk",
};

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  return port;
}

/** Resident memory of a process. @param {number | undefined} pid */
export function residentMbOf(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/**
 * The sum of a metric over its labels.
 * @param {string} text what /metrics answers
 * @param {string} name
 */
export function sumOfMetric(text, name) {
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))];
  if (values.length === 0) throw new Error(`There is no metric ${name}.`);
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

/** `main`: the compiled src/cli/main.js. Resolves when the server is ready. */
export async function startServer(main, flags = []) {
  const adminPort = await freePort();
  const argv = [
    main,
    "serve",
    "--port",
    "0",
    "--admin-port",
    String(adminPort),
    "--log-level",
    "error",
    ...flags,
  ];
  const child = spawn(process.execPath, argv, {
    env: {
      ...process.env,
      AWS_ACCESS_KEY_ID: KEY.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    output += chunk;
    if (output.includes("stops the server")) break;
  }
  child.stdout.resume();
  const [, origin] = /^# (http:\/\/[^/]+)\//m.exec(output) ?? [];
  if (origin === undefined) throw new Error(`The server did not start: ${output}`);
  return {
    child,
    origin,
    port: Number(new URL(origin).port),
    adminOrigin: `http://127.0.0.1:${adminPort}`,
    residentMb: () => residentMbOf(child.pid),
    /** The sum of a metric over its labels. */
    async metric(name) {
      return sumOfMetric(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text(), name);
    },
    /** Stops it with SIGTERM. The exit code must be 0. */
    async stop() {
      child.kill("SIGTERM");
      const [code] = await once(child, "exit");
      return code;
    },
  };
}

/** Random numbers from a seed (mulberry32), so that a failure can be repeated. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n) => Math.floor(next() * n);
  return { next, below, pick: (list) => list[below(list.length)] };
}
