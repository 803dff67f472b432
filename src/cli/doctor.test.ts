// Runs `doctor` in a process of its own: once with everything in order, then with one fault at a time. No hub is asked.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, cpSync, mkdirSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDirectory, writeCheckpoint } from "../../test/support/checkpoints.ts";
import { resolveModelDirectory } from "../generator/model-directory.ts";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));
const temporary = temporaryDirectory();
after(() => temporary.remove());
const cache = join(temporary.path, "cache");

interface Finding {
  readonly what: string;
  readonly status: string;
  readonly says: string;
  readonly remedy?: string;
}

function examined(
  argv: readonly string[],
  wrong: Readonly<Record<string, string>> = {},
): { code: number | null; findings: Finding[] } {
  const right = { PATH: process.env.PATH, XDG_CACHE_HOME: cache, HF_HUB_OFFLINE: "1", GPT2_API_PORT: "0" };
  const env = { ...right, ...wrong };
  const command = [MAIN, "doctor", "--json", ...argv];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { env, encoding: "utf8" });
  assert.equal(stderr, "");
  const { problems, findings } = JSON.parse(stdout) as { problems: number; findings: Finding[] };
  assert.equal(problems, findings.filter((finding) => finding.status === "problem").length);
  return { code: status, findings };
}

test("without problems the exit code is 0, and every check reports a finding", () => {
  const { code, findings } = examined([]);
  assert.equal(code, 0, JSON.stringify(findings));
  const words = findings.map(({ what }) => what);
  assert.deepEqual(
    ["node", "kernels", "threads", "addresses", "files", "folder", "hub", "memory", "model"].filter(
      (word) => !words.includes(word),
    ),
    [],
  );
  for (const word of ["hashes", "weights", "tokenizer", "output", "bandwidth"])
    assert.ok(words.includes(word), word);
});

test("a problem has a remedy, and the exit code is 1", () => {
  const problems = (argv: readonly string[]): string[] => {
    const { code, findings } = examined(argv);
    assert.equal(code, 1);
    const found = findings.filter(({ status }) => status === "problem");
    for (const { remedy } of found) assert.match(remedy ?? "", /\S/);
    return found.map(({ what, says }) => `${what}: ${says}`);
  };
  const broken = writeCheckpoint(join(temporary.path, "broken"), { seed: 3, V: 61, P: 64 });
  const weights = join(broken, "model.safetensors");
  const file = openSync(weights, "r+");
  writeSync(file, new Uint8Array(new Float32Array([Number.NaN]).buffer), 0, 4, statSync(weights).size - 4);
  closeSync(file);
  assert.match(problems(["--model", broken]).join(), /^weights: \S+ holds NaN at \d+/);

  // The tokenizer of another model, with more tokens.
  const foreign = writeCheckpoint(join(temporary.path, "foreign"), { seed: 3, V: 61, P: 64 });
  for (const name of ["vocab.json", "merges.txt"]) {
    cpSync(join(resolveModelDirectory("tiny"), name), join(foreign, name));
  }
  assert.match(problems(["--model", foreign]).join(), /^tokenizer: \d+ tokens, and the model has 61/);
  assert.match(problems(["--model", temporary.path]).join(), /^model: .*config\.json/);
  assert.match(problems(["--model", "no-such-model"]).join(), /^model: .*no-such-model/);
});

test("what is wrong with the way to the hub is no fault of a model that is here", () => {
  const { code, findings } = examined(["--model", "tiny"], { HF_ENDPOINT: "nonsense" });
  assert.equal(code, 1);
  const problems = findings.filter(({ status }) => status === "problem");
  assert.deepEqual(
    problems.map(({ what }) => what),
    ["hub"],
  );
});

const isLinux = process.platform === "linux";
test("where memory cannot be had it still comes to its end", { skip: !isLinux && "needs Linux" }, () => {
  const env = { PATH: process.env.PATH, XDG_CACHE_HOME: cache, HF_HUB_OFFLINE: "1" };
  const argv = [process.execPath, MAIN, "doctor", "--port", "0", "--model", "tiny"];
  const command = ["-c", 'ulimit -v 9000000; exec "$@"', "sh", ...argv];
  const { stdout, stderr, status } = spawnSync("sh", command, { env, encoding: "utf8" });
  assert.deepEqual([status, stderr], [1, ""]);
  assert.match(stdout, /^warning {2}bandwidth {2}Not measured: .* cannot be had/m);
  assert.match(stdout, /\n\n2 problems, \d+ warnings?\.\n$/);
});

test("a folder that other users may write to is a problem", () => {
  const open = join(cache, "gpt2-api", "weights");
  mkdirSync(open, { recursive: true, mode: 0o700 });
  const { code, findings } = examined([
    "--model",
    writeCheckpoint(join(temporary.path, "m"), { seed: 3, V: 61, P: 64 }),
  ]);
  assert.equal(code, 0, JSON.stringify(findings));
  chmodSync(open, 0o777);
  const wrong = examined(["--model", join(temporary.path, "m")]);
  const folders = wrong.findings.filter(({ what, status }) => what === "folder" && status === "problem");
  assert.deepEqual([wrong.code, folders.length], [1, 1]);
  assert.match(folders[0]?.remedy ?? "", /^Run: chmod 700 .*weights$/);
});

test("each finding is one line of text, coloured on a terminal only", () => {
  const env = { PATH: process.env.PATH, XDG_CACHE_HOME: cache, HF_HUB_OFFLINE: "1" };
  const argv = [MAIN, "doctor", "--port", "0", "--model", "no-such-model"];
  const { stdout, status } = spawnSync(process.execPath, argv, { env, encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stdout, /^ok {7}node {7}Node v/);
  assert.match(stdout, /^problem {2}model {6}.*no-such-model.*\n {20}→ Give --model /m);
  assert.match(stdout, /\n\n\d+ problems?, \d+ warnings?\.\n$/);
  assert.ok(!stdout.includes("\x1b"));
});
