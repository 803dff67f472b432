// Benchmarks, tools and conformance suites are not compiled, and most run rarely. This test checks at least their imports.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../src/generator/model-directory.ts";

const ROOT = packageRoot();

const scripts = ["bench", "conformance", "tools"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true })
    .map((file) => join(folder, String(file)))
    .filter((file) => /\.m?js$/.test(file) && !file.includes("node_modules") && !file.includes(".work")),
);

/** Matches `import { a, b } from "./c.js"` and `const { a } = await compiled("c.js")`. */
const IMPORT = /\{([^{}]*)\}\s*(?:from|=\s*await\s+\w+\()\s*"([^"]+\.js)"/g;

/** The source of a module that a script names relative to itself, to dist/ or to dist/src/. */
function sourceOf(script: string, path: string): string | undefined {
  const places = path.startsWith(".") ? [join(dirname(script), path)] : [path, join("src", path)];
  const sources = places.flatMap((place) => {
    const built = relative("dist", place);
    return [place, place.replace(/\.js$/, ".ts"), built.replace(/\.js$/, ".ts")];
  });
  return sources.find((source) => !source.startsWith("..") && existsSync(join(ROOT, source)));
}

test("every module that a script imports exists and has the imported names", () => {
  assert.ok(scripts.length > 10);
  let numImports = 0;
  for (const script of scripts) {
    const text = readFileSync(join(ROOT, script), "utf8");
    for (const [, names = "", path = ""] of text.matchAll(IMPORT)) {
      const source = sourceOf(script, path);
      assert.ok(source, `${script} imports ${path}, which is not there`);
      const exports = readFileSync(join(ROOT, source), "utf8");
      for (const name of names.split(",").map((each) => each.trim().split(/\s+as\s+|:/)[0] ?? "")) {
        const isThere = new RegExp(`^export (.*[ *])?${name}\\b|^export \\{[^}]*\\b${name}\\b`, "m").test(
          exports,
        );
        assert.ok(name === "" || isThere, `${script} imports ${name} of ${source}, which has no such export`);
        numImports++;
      }
    }
    for (const [, path = ""] of text.matchAll(/import\("(\.[^"]+\.js)"\)/g)) {
      assert.ok(sourceOf(script, path), `${script} names the types of ${path}, which is not there`);
    }
  }
  assert.ok(numImports > 50);
});
