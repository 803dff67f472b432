// The canonical request, stage by stage; the expected values follow from AWS's rules, worked out by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalPath, canonicalQuery, canonicalRequest, foldHeaders } from "./canonical.ts";

test("a path is normalised and then encoded once more", () => {
  const expected: Record<string, string> = {
    "": "/",
    "/": "/",
    "//": "/",
    "/a/./b//c/../d": "/a/b/d",
    "/a/b/..": "/a",
    "/a/b/../": "/a/",
    "/../..": "/",
    "/a//": "/a/",
    "/a%20b": "/a%2520b",
    "/a b+c~d": "/a%20b%2Bc~d",
    "/%2e%2e/x": "/%252e%252e/x",
    "/\xe1\x88\xb4": "/%E1%88%B4",
    "/ሴ": "/%E1%88%B4",
  };
  for (const [path, canonical] of Object.entries(expected))
    assert.equal(canonicalPath(path), canonical, path);
});

test("an S3-style path keeps its segments and is encoded once", () => {
  const expected: Record<string, string> = {
    "": "/",
    "//a/../b//": "//a/../b//",
    "/a b": "/a%20b",
    "/a%20b": "/a%20b",
    "/a%2fb": "/a%2Fb",
    "/100%": "/100%25",
  };
  for (const [path, canonical] of Object.entries(expected)) {
    assert.equal(canonicalPath(path, false), canonical, path);
  }
});

test("a query is encoded anew and sorted by name, then by value", () => {
  const expected: Record<string, string> = {
    "": "",
    "b=2&a=1": "a=1&b=2",
    "a=2&a=1&a": "a=&a=1&a=2",
    "a-b=1&a=2": "a=2&a-b=1",
    "b=1&B=2": "B=2&b=1",
    "k=a+b": "k=a%2Bb",
    "k=a b": "k=a%20b",
    "k=%7e%7E": "k=~~",
    "k==&": "=&k=%3D",
    "k=%": "k=%25",
    "%e1%88%b4=bar": "%E1%88%B4=bar",
  };
  for (const [query, canonical] of Object.entries(expected)) {
    assert.equal(canonicalQuery(query), canonical, query);
  }
});

test("header lines are lower-cased, trimmed, folded and joined in the order received", () => {
  const folded = foldHeaders(["X-A", "  b \t c ", "Host", "h", "x-a", "", "X-A", "a", "odd"]);
  assert.deepEqual(
    [...folded],
    [
      ["x-a", "b c,,a"],
      ["host", "h"],
    ],
  );
});

test("a folded header line keeps its bytes: a no-break space is not white space here", () => {
  assert.equal(foldHeaders(["X-A", "\xc2\xa0a"]).get("x-a"), "\xc2\xa0a");
});

test("the canonical request lists the signed headers as named, and an absent one as empty", () => {
  const request = {
    method: "GET",
    rawUrl: "/p?q",
    rawHeaders: ["Host", "a", "X-B", "c"],
    body: new Uint8Array(),
  };
  const options = { signedHeaders: ["host", "x-b", "x-c"], payloadHash: "hash" };
  assert.equal(canonicalRequest(request, options), "GET\n/p\nq=\nhost:a\nx-b:c\nx-c:\n\nhost;x-b;x-c\nhash");
  assert.match(canonicalRequest(request, { ...options, host: "z" }), /\nhost:z\n/);
});
