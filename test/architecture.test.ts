// The architecture, as rules that a machine reads: who may import whom, where the outside world is touched, and how
// large a file and a function may grow. A failure names the file and the rule.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { packageRoot } from "../src/service/model-directory.ts";

const ROOT = packageRoot();
const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;

/** Folder or file of `src/` → what of ours it may import. Types may flow the same way only. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  kernels: ["errors"],
  tokenizer: ["errors"],
  decoding: ["errors", "kernels/logits-row"],
  sigv4: ["errors"],
  model: ["errors", "kernels"],
  engine: ["errors", "decoding", "kernels/logits-row", "model/backend"],
  bench: ["errors", "kernels", "model"],
  service: ["errors", "decoding", "engine", "kernels", "model", "tokenizer"],
  schema: ["errors"],
  params: ["errors", "schema", "config", "decoding", "service/generation"],
  edges: ["params"],
  config: ["errors", "schema"],
  server: ["errors", "schema", "config", "params", "sigv4", "service", "decoding"],
  cli: [
    "errors",
    "schema",
    "config",
    "params",
    "sigv4",
    "service",
    "server",
    "model",
    "decoding",
    "tokenizer",
    "bench",
  ],
  index: ["errors", "config", "params", "sigv4", "service", "server", "tokenizer", "decoding"],
};

/** What only some places may touch. */
const ONLY_IN: readonly { readonly pattern: RegExp; readonly places: RegExp; readonly what: string }[] = [
  { pattern: /process\.(env|argv)/, places: /^cli\//, what: "the environment and the command line" },
  { pattern: /from "(fastify|node:https?)"/, places: /^server\/|^cli\/serve/, what: "HTTP" },
  {
    pattern: /from "node:worker_threads"/,
    places: /^(engine\/worker-|service\/(load|engine-thread)|kernels\/(wasm|helper-thread))/,
    what: "threads",
  },
  { pattern: /Math\.random|randomBytes|randomInt/, places: /^(cli|server)\//, what: "fresh randomness" },
  {
    pattern: /Date\.now|new Date\(\)/,
    places: /^(cli|server|sigv4)\/|^model\/(identity|weight-cache)/,
    what: "the clock",
  },
  { pattern: /console\.|process\.std(out|err)/, places: /^cli\//, what: "the terminal" },
];

function sourceFiles(folder: string, endings: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true })
    .map(String)
    .filter((file) => endings.test(file))
    .sort();
}

const sources = sourceFiles("src", /\.ts$/).filter(
  (file) => !file.startsWith("kernels/wasm/") && !file.endsWith(".d.ts"),
);
const text = (file: string): string => readFileSync(join(ROOT, "src", file), "utf8");
const unit = (file: string): string =>
  file.includes("/") ? (file.split("/")[0] as string) : file.replace(/\.ts$/, "");

/** Paths under src/ that a file imports, without the ending. */
function imports(file: string): string[] {
  const folder = file.includes("/") ? file.slice(0, file.lastIndexOf("/") + 1) : "";
  return [...text(file).matchAll(/(?:from|import) "(\.[^"]+)"/g)].map(([, path]) =>
    new URL(path as string, `file:///${folder}`).pathname.slice(1).replace(/\.(ts|js)$/, ""),
  );
}

describe("architecture", () => {
  it("knows every folder", () => {
    assert.deepEqual(
      [...new Set(sources.map(unit))]
        .map((name) => name.replace(".test", ""))
        .filter((name) => !(name in MAY_IMPORT)),
      [],
    );
  });

  it("imports go one way", () => {
    const tests = /\.test\.ts$/;
    for (const file of sources.filter((name) => !tests.test(name))) {
      const own = unit(file);
      for (const path of imports(file)) {
        if (unit(`${path}.ts`) === own) continue;
        const allowed = (MAY_IMPORT[own] ?? []).some(
          (entry) => path === entry || path.startsWith(`${entry}/`),
        );
        assert.ok(
          allowed,
          `src/${file} imports ${path}: ${own} may import ${MAY_IMPORT[own]?.join(", ") || "nothing"}`,
        );
      }
    }
  });

  it("the outside world is touched in its places only", () => {
    for (const file of sources.filter((name) => !name.endsWith(".test.ts"))) {
      for (const { pattern, places, what } of ONLY_IN) {
        const code = text(file).replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
        assert.ok(
          !pattern.test(code) || places.test(file),
          `src/${file} touches ${what}, allowed in ${places}`,
        );
      }
    }
  });

  it("files and functions stay small", () => {
    const all = [
      ...sourceFiles("src", /\.ts$/).map((file) => join("src", file)),
      ...sourceFiles("test", /\.ts$/).map((file) => join("test", file)),
      ...sourceFiles("tools", /\.js$/).map((file) => join("tools", file)),
    ];
    for (const file of all) {
      const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
      assert.ok(
        lines.length <= FILE_LINES_MAX,
        `${file} has ${lines.length} lines, the budget is ${FILE_LINES_MAX}`,
      );
      if (file.endsWith(".test.ts")) continue;
      for (const { name, length } of functions(lines)) {
        assert.ok(
          length <= FUNCTION_LINES_MAX,
          `${name} in ${file} has ${length} lines, the budget is ${FUNCTION_LINES_MAX}`,
        );
      }
    }
  });

  it("tests are not skipped or narrowed", () => {
    for (const file of [...sources, ...sourceFiles("test", /\.ts$/).map((name) => `../test/${name}`)]) {
      assert.ok(
        !/\b(it|describe|test)\.(only|skip|todo)\(/.test(text(file)),
        `${file} skips or narrows tests`,
      );
    }
  });
});

/** Functions and methods, by the formatter's indentation: a head at some depth, its end a brace at the same depth. */
function functions(lines: readonly string[]): { name: string; length: number }[] {
  const head = /^( *)(?:export |async |static |function )*(?:function )?([#\w]+)(?:<[^>]*>)?\(.*(?:\{|\()$/;
  const found: { name: string; length: number }[] = [];
  for (const [start, line] of lines.entries()) {
    const match = head.exec(line);
    if (!match || /^(if|for|while|switch|describe|it|return)$/.test(match[2] as string)) continue;
    const end = lines.findIndex((other, i) => i > start && other.startsWith(`${match[1]}}`));
    if (end > start) found.push({ name: match[2] as string, length: end - start + 1 });
  }
  return found;
}
