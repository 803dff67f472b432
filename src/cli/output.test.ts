// How commands end with a fault in their output, their input or their process. Each runs in a process of its own.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "gpt2-api-"));
after(() => rmSync(folder, { recursive: true }));
const env = { PATH: process.env.PATH, XDG_CACHE_HOME: folder };
const GREEDY = ["--mode", "greedy", "--num-return-sequences", "1", "--max-length", "8"];

function run(argv: readonly string[], input?: string) {
  return spawnSync(process.execPath, [MAIN, ...argv], { env, encoding: "utf8", input });
}

test("a reader that closes the pipe early ends a command quietly", async () => {
  for (const argv of [["generate", ...GREEDY, "Hi"], ["--help"], ["serve", "--print-config"]]) {
    const child = spawn(process.execPath, [MAIN, ...argv], { env, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let output = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    assert.deepEqual([...(await once(child, "close")), output], [0, null, ""]);
  }
});

test("output that cannot be written is reported in one sentence", () => {
  if (!existsSync("/dev/full")) return; // Linux has a device that is always full.
  const { status, stderr } = spawnSync(process.execPath, [MAIN, "--help"], {
    env,
    encoding: "utf8",
    stdio: ["ignore", openSync("/dev/full", "w"), "pipe"],
  });
  assert.deepEqual([status, stderr.split("\n").length], [1, 2]);
  assert.match(stderr, /^gpt2-api: standard output cannot be written: ENOSPC/);
});

test("too few file descriptors are reported in one sentence", () => {
  for (const limit of [32, 64, 96]) {
    const command = `ulimit -n ${limit}; exec "${process.execPath}" "${MAIN}" serve --port 0`;
    const { status, stderr } = spawnSync("sh", ["-c", command], { env, encoding: "utf8", timeout: 60_000 });
    assert.equal(status, 1);
    assert.match(stderr, /^gpt2-api: Too many files are open at once.*`ulimit -n 256`\n$/);
  }
});

test("a prompt is read from standard input, without its last line feed", () => {
  const argument = run(["generate", ...GREEDY, "Once upon"]);
  assert.match(argument.stdout, /^Once upon./);
  assert.equal(run(["generate", ...GREEDY], "Once upon\n").stdout, argument.stdout);
  assert.equal(run(["generate", ...GREEDY, "-"], "Once upon\r\n").stdout, argument.stdout);
  assert.notEqual(run(["generate", ...GREEDY], "Once upon\n\n").stdout, argument.stdout);
});

test("standard input that cannot be a prompt, or is absent, is reported in one sentence", () => {
  const cases: [argv: string[], input: Buffer, message: RegExp][] = [
    [["generate"], Buffer.alloc(0), /^gpt2-api: One of three must be given: a PROMPT, /],
    [["generate", "--requests", "x", "prompt"], Buffer.from("Hi"), /^gpt2-api: One of three must be given: /],
    [["generate"], Buffer.from([0x48, 0xff]), /^gpt2-api: Standard input is not UTF-8 text\n$/],
    [
      ["generate", "--body-bytes-max", "1024"],
      Buffer.alloc(1025, "a"),
      /more than 1024 bytes, see --body-bytes-max/,
    ],
  ];
  for (const [argv, input, message] of cases) {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...argv], { env, encoding: "utf8", input });
    assert.equal(status, 2);
    assert.match(stderr, message);
  }
});

test("--config and its variable name a file of settings, which flags and variables override", () => {
  const file = join(folder, "settings.json");
  writeFileSync(file, '{"port": 1, "host": "h", "region": "r"}');
  const shown = (argv: readonly string[], variables = {}) =>
    spawnSync(process.execPath, [MAIN, ...argv, "--print-config"], {
      env: { ...env, ...variables },
      encoding: "utf8",
    });
  const { stdout } = shown(["serve", "--config", file, "--port", "2"], { GPT2_API_HOST: "e" });
  assert.match(stdout, /^--port +2 +--port$/m);
  assert.match(stdout, /^--host +"e" +GPT2_API_HOST$/m);
  assert.match(stdout, new RegExp(`^--region +"r" +${file}: region$`, "m"));
  assert.match(shown(["serve"], { GPT2_API_CONFIG: file }).stdout, /^--port +1 /m);
  // SageMaker's variables override the file, and the file overrides the container's defaults.
  const container = shown(["container", "--config", file], { SAGEMAKER_BIND_TO_PORT: "3" }).stdout;
  assert.match(container, /^--port +3 +SAGEMAKER_BIND_TO_PORT$/m);
  assert.match(container, /^--host +"h" /m);
  assert.match(container, /^--weight-cache-mb +0 +the container contract$/m);
  writeFileSync(file, "{");
  for (const name of [file, join(folder, "none.json")]) {
    const { status, stderr } = shown(["serve", "--config", name]);
    assert.equal(status, 2);
    assert.match(stderr, /^gpt2-api: .*\.json: (is not JSON .*|there is no such configuration file)\n$/);
  }
});
