// The two sides that share a cache: this software and a release of Python's huggingface_hub, both as processes with a fake hub.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "..", "..");
const built = (path) => import(join(root, "dist", path));
export const { FakeHub } = await built("test/support/fake-hub.js");
export const { fakeRepository, modelContents, seededBytes, sha256, gitHash, directoryContents } = await built(
  "test/support/fake-repository.js",
);
export const { writeCheckpoint } = await built("test/support/checkpoints.js");

export const VERSIONS = readFileSync(join(here, "versions.txt"), "utf8").trim().split("\n");

export function run(program, argv, env, input) {
  const child = spawn(program, argv, { env, stdio: ["ignore", "pipe", "pipe"] });
  input?.(child);
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    child[name].setEncoding("utf8").on("data", (text) => {
      texts[name] += text;
    });
  }
  return new Promise((resolve) =>
    child.on("close", (status, signal) => resolve({ status, signal, ...texts })),
  );
}

/** A new cache that both sides use. */
export class Sides {
  constructor(version, hub, extra = {}) {
    this.version = version;
    this.home = mkdtempSync(join(tmpdir(), "gpt2-api-sharing-"));
    this.cache = join(this.home, "hub");
    this.bin = join(here, ".venv", version, "bin");
    this.env = {
      PATH: process.env.PATH,
      HOME: this.home,
      XDG_CACHE_HOME: join(this.home, "cache"),
      HF_HOME: this.home,
      HF_HUB_CACHE: this.cache,
      HF_ENDPOINT: hub.endpoint,
      HF_HUB_DISABLE_XET: "1",
      HF_HUB_DISABLE_UPDATE_CHECK: "1",
      HF_HUB_DISABLE_TELEMETRY: "1",
      HF_HUB_DISABLE_PROGRESS_BARS: "1",
      AWS_ACCESS_KEY_ID: "ID",
      AWS_SECRET_ACCESS_KEY: "secret",
      ...extra,
    };
  }

  /** The command `gpt2-api`. */
  ours(argv, env = {}, input = undefined) {
    const main = join(root, "dist", "src", "cli", "main.js");
    return run(process.execPath, [main, ...argv], { ...this.env, ...env }, input);
  }

  /** Runs a command of python_side.py, and returns its answer. */
  async python(argv, env = {}) {
    const script = join(here, "python_side.py");
    const result = await run(join(this.bin, "python"), [script, ...argv], { ...this.env, ...env });
    if (result.status !== 0) throw new Error(`python ${argv.join(" ")}: ${result.stderr.slice(-2000)}`);
    return JSON.parse(result.stdout);
  }

  /** Python's own command. */
  hf(argv, env = {}) {
    return run(join(this.bin, "hf"), argv, { ...this.env, ...env });
  }

  /** Every blob whose content does not have the hash in its name, and every incomplete file. */
  wrongBlobs(folder) {
    const blobs = join(this.cache, folder, "blobs");
    return readdirSync(blobs).filter((name) => {
      if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(name)) return true;
      const content = readFileSync(join(blobs, name));
      return name !== (name.length === 64 ? sha256(content) : gitHash(content));
    });
  }

  remove() {
    rmSync(this.home, { recursive: true, force: true });
  }
}
