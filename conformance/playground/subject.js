// The server under test, and the browsers. The server runs as for a person: `serve` on a terminal, where it prints the link that opens
// the page. `script` of Debian's bsdutils makes the terminal. The browsers are Debian's.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import { freePort } from "../../bench/support/server-under-test.js";

export const COMMAND = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const START_MS_MAX = 60_000;
const BROWSERS = {
  chrome: { path: "/usr/bin/chromium", packageName: "chromium" },
  firefox: { path: "/usr/bin/firefox-esr", packageName: "firefox-esr" },
};

/** A server that is ready. `link` returns an unused link, `stop` ends the server, `restart` starts it again on the same port. */
export async function startServer(options = []) {
  const home = mkdtempSync(join(tmpdir(), "playground-"));
  const port = await freePort();
  let terminal = await onTerminal(home, port, options);
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    link: () => terminal.link(),
    stop: () => terminal.stop(),
    async restart() {
      await terminal.stop();
      terminal = await onTerminal(home, port, options);
    },
    async end() {
      await terminal.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function onTerminal(home, port, options) {
  const command = [process.execPath, COMMAND, "serve", "--port", port, "--log-level", "silent", ...options];
  const line = command.map((word) => `'${String(word).replaceAll("'", "'\\''")}'`).join(" ");
  const child = spawn("script", ["-qfec", `exec ${line}`, "/dev/null"], {
    env: { ...process.env, HOME: home, XDG_CACHE_HOME: join(home, ".cache"), SHELL: "/bin/sh" },
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  let printed = "";
  const listeners = new Set();
  child.stdout.on("data", (bytes) => {
    printed += bytes;
    for (const listener of listeners) listener();
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  // A link may come in two pieces: only one with something behind it is whole.
  const links = () => [...printed.matchAll(/http:\/\/\S+token=[\w-]+(?=\s)/g)].map(([link]) => link);
  let taken = 0;
  const link = () =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no link was printed:\n${printed}`)), START_MS_MAX);
      const look = () => {
        const found = links()[taken];
        if (found === undefined) return;
        taken++;
        clearTimeout(timer);
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
    });
  const stop = async () => {
    // Ctrl-C on the terminal, as a person stops it.
    child.stdin.write("\u0003");
    await ended;
  };
  await Promise.race([
    new Promise((resolve) => {
      const look = () => {
        if (links().length === 0) return;
        listeners.delete(look);
        resolve();
      };
      listeners.add(look);
    }),
    ended.then((status) => Promise.reject(new Error(`the server ended with ${status}:\n${printed}`))),
  ]);
  return { link, stop };
}

/** Installs a missing browser if that is allowed, and says so. Returns false if the browser is not available. */
export function provide(name, extra = []) {
  const { path, packageName } = BROWSERS[name];
  if (existsSync(path)) return true;
  if (process.getuid() !== 0) {
    process.stdout.write(`${packageName} is missing: apt-get install ${packageName}\n`);
    return false;
  }
  process.stdout.write(`${packageName} is missing; installing it with apt-get\n`);
  const apt = (...words) =>
    spawnSync("apt-get", words, { stdio: ["ignore", "ignore", "inherit"] }).status === 0;
  const install = () => apt("install", "-y", "--no-install-recommends", packageName, ...extra);
  return install() || (apt("update") && install());
}

export function launch(name, options = {}) {
  const args = name === "chrome" ? ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] : [];
  return puppeteer.launch({
    browser: name,
    executablePath: BROWSERS[name].path,
    headless: true,
    args,
    ...options,
  });
}
