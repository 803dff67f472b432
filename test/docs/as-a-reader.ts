// Runs `gpt2-api` for tests that follow a page of the documentation. A server is stopped as soon as it is ready, as a reader
// would with Ctrl-C. It takes any free port, and `doctor` checks none, because the usual port may be in use. Every other command
// is run unchanged.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { packageRoot } from "../../src/generator/model-directory.ts";

/** A server that is ready prints this on standard output. */
const READY = /stops the server|is served at \S+\/invocations/;

const argv = process.argv.slice(2);
const main = join(packageRoot(), "dist/src/cli/main.js");
const isServer =
  ["serve", "container"].includes(argv[0] ?? "") &&
  !argv.some((word) => ["--help", "--print-config"].includes(word));
if (isServer || argv[0] === "doctor") argv.push("--port", "0", "--host", "127.0.0.1");
const child = spawn(process.execPath, [main, ...argv], {
  stdio: ["inherit", isServer ? "pipe" : "inherit", "inherit"],
});
let output = "";
let isStopped = false;
child.stdout?.setEncoding("utf8").on("data", (text) => {
  output += text;
  // Only one signal is sent: a second would end the server at once, with another exit code.
  if (isStopped || !READY.test(output)) return;
  isStopped = true;
  child.kill("SIGTERM");
});
const [code] = await once(child, "exit");
process.exit(code ?? 1);
