// Runs `gpt2-api` in processes of its own, with a fake hub and a cache of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /**
   * Resolves with the sentence's first group when standard output or error has the sentence. Rejects if the process ends before.
   */
  readonly says: (sentence: RegExp) => Promise<string | undefined>;
}

export class HubProcess {
  readonly cache: string;
  readonly #home: string;
  readonly #context: TestContext;
  readonly #endpoint: string;

  constructor(context: TestContext, endpoint: string) {
    this.#home = mkdtempSync(join(tmpdir(), "gpt2-api-home-"));
    this.cache = join(this.#home, "huggingface", "hub");
    this.#context = context;
    this.#endpoint = endpoint;
    context.after(() => rmSync(this.#home, { recursive: true, force: true }));
  }

  start(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const child = spawn(process.execPath, [MAIN, ...argv], {
      env: {
        HF_ENDPOINT: this.#endpoint,
        XDG_CACHE_HOME: this.#home,
        PATH: process.env.PATH,
        AWS_ACCESS_KEY_ID: "ID",
        AWS_SECRET_ACCESS_KEY: "secret",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#context.after(() => child.kill("SIGKILL"));
    const texts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        texts[name] += text;
      });
    }
    const ended = once(child, "close").then(([status, signal]) => ({ status, signal, ...texts }));
    const says = async (sentence: RegExp): Promise<string | undefined> => {
      for (;;) {
        const found = sentence.exec(texts.stdout) ?? sentence.exec(texts.stderr);
        if (found) return found[1];
        const more = [once(child.stdout, "data"), once(child.stderr, "data")];
        const end = await Promise.race([...more, ended]);
        if (!Array.isArray(end)) throw new Error(`ended without ${sentence}: ${end.stdout}${end.stderr}`);
      }
    };
    return { child, ended, says };
  }

  run(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return this.start(argv, env).ended;
  }
}
