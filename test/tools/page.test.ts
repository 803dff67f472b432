// The built page: its size, that it contacts no other host, and that the strict content security policy is enough for it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { packageRoot } from "../../src/generator/model-directory.ts";

const FOLDER = join(packageRoot(), "dist/page");
const COMPRESSED_BYTES_MAX = 120 * 1024;

const files = readdirSync(FOLDER).sort();
const textOf = (file: string): string => readFileSync(join(FOLDER, file), "utf8");

describe("the built page", () => {
  it("is a document, a script, a style sheet and an icon", () => {
    assert.deepEqual(files, ["app.css", "app.js", "icon.svg", "index.html"]);
  });

  it("is small", () => {
    const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(FOLDER, file))).length, 0);
    assert.ok(
      bytes <= COMPRESSED_BYTES_MAX,
      `${bytes} bytes compressed, the budget is ${COMPRESSED_BYTES_MAX}`,
    );
  });

  it("has no code and no style in its document", () => {
    const html = textOf("index.html");
    assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|javascript:/i);
    for (const [, attributes] of html.matchAll(/<script([^>]*)>([^<]*)/g))
      assert.match(attributes as string, /\ssrc="/);
  });

  it("names no other host", () => {
    // The XML namespaces of SVG and MathML look like addresses, but nothing requests them.
    const names = /http:\/\/www\.w3\.org\/(2000\/svg|1998\/Math\/MathML|1999\/\w+)/g;
    for (const file of files)
      assert.doesNotMatch(textOf(file).replace(names, ""), /https?:\/\/|["'(]\/\//, file);
  });

  it("never inserts text as HTML", () => {
    // The views never use Preact's only way to insert HTML.
    const views = join(packageRoot(), "src/playground/views");
    for (const file of readdirSync(views).filter((name) => /\.tsx?$/.test(name))) {
      assert.doesNotMatch(
        readFileSync(join(views, file), "utf8"),
        /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write/,
        file,
      );
    }
  });
});
