// The rules of the architecture: which room may import which, where the outside world may be used, and how long files and
// functions may be. A failure names the file and the rule.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { packageRoot } from "../src/generator/model-directory.ts";

const ROOT = packageRoot();
const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;

/** Room of `src/` → the rooms, or single files of a room, that it may import. Imports of types follow the same rules. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  wording: [],
  "event-loop": [],
  settings: ["errors", "wording", "model/backend"],
  machine: ["errors"],
  files: ["errors", "settings"],
  sigv4: [],
  hub: ["errors", "wording", "files/home-folder"],
  tokenizer: ["errors", "wording", "files/json-file"],
  kernels: ["errors"],
  "kernels/reference": ["kernels"],
  "kernels/host": ["errors", "kernels", "kernels/reference"],
  decoding: ["kernels/logits-row"],
  model: ["errors", "wording", "kernels"],
  "model/loading": [
    "errors",
    "wording",
    "files/json-file",
    "files/private-folder",
    "machine",
    "kernels",
    "kernels/host",
    "kernels/reference",
    "model",
  ],
  engine: ["errors", "decoding", "kernels/logits-row", "model/backend"],
  "engine/thread": ["errors", "decoding", "engine", "model", "model/loading"],
  request: ["errors", "event-loop", "wording", "settings", "decoding", "engine/counts", "engine/thread"],
  dialects: ["errors", "wording", "request", "decoding"],
  generator: [
    "errors",
    "event-loop",
    "files/home-folder",
    "request",
    "decoding",
    "hub",
    "tokenizer",
    "engine/pass-result",
    "engine/thread",
    "kernels/host/choose-build",
    "machine",
    "model/weights",
    "model/loading",
  ],
  "playground/logic": [
    "decoding/logits-processors",
    "dialects/playground/events",
    "kernels/reference/plain-logits-row",
  ],
  "playground/views": ["dialects/playground/events", "playground/logic"],
  index: ["errors", "library", "request", "tokenizer"],
  client: ["errors", "library/run", "request/answer", "request/params"],
  library: ["errors", "settings", "hub", "request", "generator", "tokenizer", "wording"],
  offline: [
    "errors",
    "hub",
    "files/private-folder",
    "machine",
    "decoding",
    "engine/engine-core",
    "kernels",
    "kernels/host",
    "model",
    "model/loading",
    "tokenizer",
  ],
  "server/http": ["errors", "wording", "settings", "files", "request/generation", "engine/counts"],
  "server/access": ["errors", "settings", "files", "sigv4", "server/http"],
  "server/doors": [
    "errors",
    "event-loop",
    "wording",
    "settings",
    "files",
    "generator/model-directory",
    "request",
    "dialects",
    "server/http",
    "server/access",
  ],
  server: [
    "errors",
    "settings",
    "files",
    "machine",
    "engine/counts",
    "model/loading/checkpoint-state",
    "request/generation",
    "generator",
    "server/access",
    "server/http",
    "server/doors",
  ],
  cli: [
    "errors",
    "wording",
    "settings",
    "files",
    "machine",
    "sigv4",
    "hub",
    "request",
    "generator",
    "offline",
    "model",
    "model/loading",
    "server",
    "server/http",
    "server/access",
    "server/doors",
  ],
};

/** Parts of the outside world that only some places may use. */
const ONLY_IN: readonly { readonly pattern: RegExp; readonly places: RegExp; readonly what: string }[] = [
  {
    pattern: /process\.(env|argv)/,
    places: /^cli\/|^library\/load-language-model/,
    what: "the environment and the command line",
  },
  { pattern: /from "(fastify|node:https?)"/, places: /^server\/(http|access|doors)\//, what: "HTTP" },
  { pattern: /(from|import\()\s*"undici"/, places: /^hub\/transport/, what: "requests to other machines" },
  {
    pattern: /from "node:worker_threads"/,
    places: /^(engine\/thread|generator\/load-generator|kernels\/host)/,
    what: "threads",
  },
  {
    pattern: /Math\.random|randomBytes|randomInt/,
    places: /^(cli|library|server)\/|^hub\/world/,
    what: "fresh randomness",
  },
  {
    pattern: /Date\.now|new Date\(\)/,
    places:
      /^(cli|client|server|sigv4|playground\/views)\/|^(hub\/world|model\/loading\/(identity|weight-cache))/,
    what: "the clock",
  },
  // The playground shows the source of a program that writes to its own terminal.
  {
    pattern: /console\.|process\.std(out|err)/,
    places: /^cli\/|^dialects\/playground\/clients/,
    what: "the terminal",
  },
];

function sourceFiles(folder: string, endings: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true })
    .map(String)
    .filter((file) => endings.test(file))
    .sort();
}

const sources = sourceFiles("src", /\.tsx?$/).filter(
  (file) => !file.startsWith("kernels/wasm/") && !file.endsWith(".d.ts"),
);
/** All source files but the tests. */
const code = sources.filter((file) => !file.endsWith(".test.ts"));
const text = (file: string): string => readFileSync(join(ROOT, "src", file), "utf8");
/** The room of a path under src/: the longest folder that is in the table, or the file itself. */
function roomOf(path: string): string {
  const folders = path.split("/").slice(0, -1);
  for (let depth = folders.length; depth > 0; depth--) {
    const room = folders.slice(0, depth).join("/");
    if (room in MAY_IMPORT) return room;
  }
  return folders[0] ?? path.replace(/(\.test)?\.ts$/, "");
}

/** Paths under src/ that a file imports, without `.ts`. */
function imports(file: string): string[] {
  const folder = file.includes("/") ? file.slice(0, file.lastIndexOf("/") + 1) : "";
  return [...text(file).matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map(([, path]) =>
    new URL(path as string, `file:///${folder}`).pathname.slice(1).replace(/\.(tsx?|js)$/, ""),
  );
}

/** A path that a file imports, with `.ts`. */
const fileOf = (path: string): string => (sources.includes(`${path}.ts`) ? `${path}.ts` : `${path}.tsx`);

describe("architecture", () => {
  it("knows every room", () => {
    assert.deepEqual(
      [...new Set(sources.map(roomOf))].filter((room) => !(room in MAY_IMPORT)),
      [],
    );
  });

  it("lets imports go one way, and every permission is used", () => {
    const unused = new Set(
      Object.entries(MAY_IMPORT).flatMap(([room, entries]) => entries.map((entry) => `${room} → ${entry}`)),
    );
    for (const file of code) {
      const own = roomOf(file);
      for (const path of imports(file)) {
        const target = roomOf(`${path}.ts`);
        if (target === own) continue;
        const entry = MAY_IMPORT[own]?.find((name) => name === target || name === path);
        const allowed = MAY_IMPORT[own]?.join(", ") || "nothing";
        assert.ok(entry, `src/${file} imports ${path}: ${own} may import ${allowed}`);
        unused.delete(`${own} → ${entry}`);
      }
    }
    assert.deepEqual([...unused], [], "permissions that nobody uses");
  });

  it("has no circle of imports between files, not even of types", () => {
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), `a circle of imports: ${[...path, file].join(" → ")}`);
      if (done.has(file)) return;
      for (const next of imports(file)) visit(fileOf(next), [...path, file]);
      done.add(file);
    };
    for (const file of code) visit(file, []);
  });

  it("has no circle of imports between rooms", () => {
    const visit = (room: string, path: readonly string[]): void => {
      assert.ok(!path.includes(room), `a circle of rooms: ${[...path, room].join(" → ")}`);
      for (const entry of MAY_IMPORT[room] ?? []) {
        visit(entry in MAY_IMPORT ? entry : roomOf(`${entry}.ts`), [...path, room]);
      }
    };
    for (const room of Object.keys(MAY_IMPORT)) visit(room, []);
  });

  it("uses the outside world in its places only", () => {
    for (const file of code) {
      for (const { pattern, places, what } of ONLY_IN) {
        const statements = text(file).replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
        assert.ok(
          !pattern.test(statements) || places.test(file),
          `src/${file} touches ${what}, allowed in ${places}`,
        );
      }
    }
  });

  it("has the fixed limits of a request in one table", () => {
    for (const file of code.filter((name) => /^(request|dialects)\//.test(name))) {
      const [found] = /^(export )?const [A-Z_]+_MAX\b.*/m.exec(text(file)) ?? [];
      assert.equal(found, undefined, `src/${file}: put it into request/request-limits.ts`);
    }
  });

  it("has short files and functions only", () => {
    const all = [
      ...sourceFiles("src", /\.(tsx?|css)$/).map((file) => join("src", file)),
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

  it("has no skipped or narrowed tests", () => {
    for (const file of [...sources, ...sourceFiles("test", /\.ts$/).map((name) => `../test/${name}`)]) {
      assert.ok(
        !/\b(it|describe|test)\.(only|skip|todo)\(/.test(text(file)),
        `${file} skips or narrows tests`,
      );
    }
  });
});

/** Finds functions and methods by the formatter's indentation: a function ends with a brace at the depth of its head. */
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
