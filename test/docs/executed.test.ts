// Runs the commands and the JavaScript of the documentation as they are printed, in a folder with the files that they name and
// with a running server. If a block cannot be run, a comment above it says why. Python's blocks are run with the clients that they
// need (conformance/dialects/documented.py).
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../src/generator/model-directory.ts";
import { freePort } from "../support/sockets.ts";
import { blocksOf } from "./markdown.ts";
import { pagesOf } from "./pages.ts";

const ROOT = packageRoot();
const AS_A_READER = fileURLToPath(new URL("./as-a-reader.js", import.meta.url));
const PAGES = pagesOf(ROOT);
const BLOCKS = PAGES.flatMap((page) =>
  blocksOf(readFileSync(join(ROOT, page), "utf8")).map((block) => ({ page, ...block })),
);
/** Languages of blocks, and whether this test runs them. A new one must be decided here. */
const LANGUAGES: Readonly<Record<string, boolean>> = {
  sh: true,
  js: true,
  python: false,
  json: false,
  text: false,
};
const KEYS = {
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

const hasCurl = /--aws-sigv4/.test(spawnSync("curl", ["--help", "all"], { encoding: "utf8" }).stdout ?? "");
const hasBash = spawnSync("bash", ["--version"]).status === 0;
/** Programs of others that may not be installed here. */
const canRun = (text: string): boolean => hasBash && (hasCurl || !/\bcurl\b/.test(text));

interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly server: ChildProcess;
  /** The addresses to use instead of those on the pages. */
  readonly addresses: ReadonlyMap<string, string>;
}

/** The surroundings of a reader: the files that the pages name, `gpt2-api` on the path, and a server. */
async function aPlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "gpt2-api-docs-"));
  const program = join(folder, "dist/src/cli");
  const bin = join(folder, ".bin");
  for (const each of [program, bin]) mkdirSync(each, { recursive: true });
  writeFileSync(join(program, "main.js"), `import(${JSON.stringify(`file://${AS_A_READER}`)});\n`);
  writeFileSync(join(bin, "gpt2-api"), `#!/bin/sh\nexec "${process.execPath}" "${AS_A_READER}" "$@"\n`);
  chmodSync(join(bin, "gpt2-api"), 0o755);
  cpSync(join(ROOT, "models/tiny"), join(folder, "my-gpt2"), { recursive: true });
  writeFileSync(join(folder, "requests.jsonl"), '{"input": "The", "max_length": 8, "seed": 1}\n');
  writeFileSync(join(folder, "texts.jsonl"), '{"text": "The old man looked at the sea."}\n');
  const kept = Object.entries(process.env).filter(([name]) => !/^(AWS_|GPT2_API_|HF_)/.test(name));
  const env = {
    ...Object.fromEntries(kept),
    ...KEYS,
    PATH: `${bin}:${process.env.PATH}`,
    HOME: folder,
    XDG_CACHE_HOME: join(folder, ".cache"),
    HF_HUB_OFFLINE: "1",
  };
  const [port, adminPort] = [await freePort(), await freePort()];
  const addresses = new Map([
    ["127.0.0.1:8080", `127.0.0.1:${port}`],
    ["127.0.0.1:9090", `127.0.0.1:${adminPort}`],
  ]);
  const argv = ["serve", "--auth", "any", "--port", String(port), "--admin-port", String(adminPort)];
  const keys = join(folder, "api-keys.json");
  writeFileSync(keys, '{"keys": []}', { mode: 0o600 });
  const flags = ["--api-keys-file", keys, "--log-level", "error"];
  const server = spawn(process.execPath, [join(ROOT, "dist/src/cli/main.js"), ...argv, ...flags], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  assert.ok(server.stdout);
  await once(server.stdout, "data");
  return { folder, env, server, addresses };
}

describe("commands of the documentation", () => {
  let place: Place | undefined;
  before(async () => {
    place = await aPlace();
  });
  after(async () => {
    if (place === undefined) return;
    const ended = once(place.server, "exit");
    place.server.kill("SIGTERM");
    await ended;
    rmSync(place.folder, { recursive: true, force: true });
  });

  it("are all found, and none is in a language that nobody runs", () => {
    const numFences = PAGES.reduce(
      (sum, page) => sum + (readFileSync(join(ROOT, page), "utf8").match(/^ *(```|~~~)/gm)?.length ?? 0),
      0,
    );
    assert.equal(BLOCKS.length, numFences / 2);
    const unknown = BLOCKS.filter(({ language }) => LANGUAGES[language] === undefined);
    assert.deepEqual(
      unknown.map(({ page, line, language }) => `${page}:${line} ${language}`),
      [],
    );
    const run = BLOCKS.filter(({ reason, language }) => reason === undefined && LANGUAGES[language]);
    assert.ok(run.length >= 20, `${run.length} of ${BLOCKS.length} blocks are run`);
  });

  for (const { page, line, text, reason, language } of BLOCKS) {
    if (reason !== undefined || !LANGUAGES[language]) continue;
    it(`${page}:${line}`, { timeout: 120_000 }, async () => {
      assert.ok(place);
      if (language === "sh" && !canRun(text)) return;
      let script = text;
      for (const [from, to] of place.addresses) script = script.replaceAll(from, to);
      const { code, told } = await (language === "js" ? runJavaScript : runShell)(script, place);
      assert.equal(code, 0, `${page}:${line}\n${script}\n${told.slice(-2000)}`);
    });
  }
});

function runShell(script: string, { folder, env }: Place): Promise<Outcome> {
  return outcomeOf("bash", ["-euo", "pipefail", "-c", script.replace(/\bcurl /g, "curl -fsS ")], folder, env);
}

/** With what a reader has by then: a model, and the key pair of the server. It is run where the package's name leads to this one. */
function runJavaScript(script: string, { env }: Place): Promise<Outcome> {
  const usesModel = /\bmodel\./.test(script) && !/\bmodel = /.test(script);
  const lines = [
    usesModel ? 'const model = await (await import("gpt2-api")).loadModel("tiny");' : "",
    `const [accessKeyId, secretAccessKey] = ${JSON.stringify(Object.values(KEYS))};`,
    script.replace('loadModel("gpt2")', 'loadModel("tiny")'),
    usesModel ? "await model.close();" : "",
  ];
  return outcomeOf(process.execPath, ["--input-type=module", "-e", lines.join("\n")], ROOT, env);
}

interface Outcome {
  readonly code: number | null;
  readonly told: string;
}

async function outcomeOf(
  program: string,
  argv: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<Outcome> {
  const child = spawn(program, argv, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let told = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk) => {
      told += chunk;
    });
  }
  const [code] = await once(child, "close");
  return { code, told };
}
