import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../generator/model-directory.ts";
import { contentHash, hasContent, hashFile } from "./content-hash.ts";

/** GPT-2's own merges.txt. The hub shows both hashes for it. */
const MERGES = join(packageRoot(), "models", "tiny", "merges.txt");
const GIT = "226b0752cac7789c48f0cb3ec53eda48b7be36cc";
const SHA256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5";

test("hashes are those of the hub", async () => {
  const size = statSync(MERGES).size;
  assert.equal(size, 456_318);
  for (const etag of [GIT, SHA256]) {
    const hash = contentHash(etag, size);
    assert.equal(await hashFile(hash, MERGES, size), size);
    assert.equal(hash.digest("hex"), etag);
  }
  assert.equal(contentHash(GIT, 0).digest("hex"), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
});

test("a file has a content or not: one bit, one byte more or less, or no file at all", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "file");
  const content = readFileSync(MERGES);
  const facts = { etag: SHA256, size: content.length };
  writeFileSync(path, content);
  assert.equal(await hasContent(path, facts), true);
  assert.equal(await hasContent(path, { ...facts, etag: GIT }), true);
  for (const bad of [
    content.subarray(1),
    Buffer.concat([content, Buffer.alloc(1)]),
    Buffer.from(content.fill(1, 9, 10)),
  ]) {
    writeFileSync(path, bad);
    assert.equal(await hasContent(path, facts), false);
  }
  assert.equal(await hasContent(join(folder, "none"), facts), false);
  const stop = AbortSignal.abort(new Error("stopped"));
  await assert.rejects(hasContent(path, facts, stop), /stopped/);
});
