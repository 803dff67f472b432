// The command, as npm and pnpm put it: a text, what the doctor says of the kernels, and a server that ends when it is told to.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = dirname(realpathSync(createRequire(import.meta.url).resolve("gpt2-api/package.json")));
const command = join(root, "dist/src/cli/main.js");
const ask = (...args) =>
  spawnSync(process.execPath, [command, ...args], { encoding: "utf8", timeout: 120_000 });

const generated = ask(
  "generate",
  "--seed",
  "1",
  "--max-new-tokens",
  "5",
  "--num-return-sequences",
  "1",
  "Once",
);
assert.equal(generated.status, 0, generated.stderr);
assert.match(generated.stdout, /^Once/);
const { stdout } = ask("doctor", "--port", "0");
assert.match(
  stdout,
  process.platform === "linux" && process.arch === "x64" ? /kernels.*(native|lacks)/ : /kernels/,
);

const server = spawn(process.execPath, [command, "serve", "--port", "0", "--auth", "none"], {
  stdio: ["ignore", "pipe", "pipe"],
});
let output = "";
for (const stream of [server.stdout, server.stderr]) stream.on("data", (data) => (output += data));
const ended = once(server, "exit");
const deadline = Date.now() + 60_000;
let url;
while (url === undefined && Date.now() < deadline && server.exitCode === null) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
}
assert.ok(url, output);
const { Client } = await import("gpt2-api/client");
const { texts } = await new Client({ url, retriesMax: 20 }).generate({ input: "Once", max_new_tokens: 3 });
assert.equal(texts.length, 3);
server.kill("SIGTERM");
const [code] = await ended;
assert.equal(code, 0, output);
console.log("fine");
