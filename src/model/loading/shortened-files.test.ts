// Files that get shorter while they are read: a sentence, never an endless loop.
import assert from "node:assert/strict";
import fs, { readSync, truncateSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { temporaryDirectory } from "../../../test/support/checkpoints.ts";
import { OpenFile } from "./open-file.ts";
import { WeightCache } from "./weight-cache.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

/** Cuts a file before the read with a number, and gives up on a reader that does not notice. */
function cutBeforeRead(context: TestContext, cutAt: number, path: () => string, length: number): void {
  const original = readSync;
  let numReads = 0;
  context.mock.method(fs, "readSync", (...args: Parameters<typeof readSync>) => {
    if (++numReads === cutAt) truncateSync(path(), length);
    if (numReads > 20) throw new Error("it is read for ever");
    return original(...args);
  });
  syncBuiltinESMExports();
  context.after(() => {
    context.mock.restoreAll();
    syncBuiltinESMExports();
  });
}

test("a checkpoint's file", (context) => {
  const path = join(directory.path, "weights");
  writeFileSync(path, new Uint8Array(1000));
  cutBeforeRead(context, 2, () => path, 600); // The first read looks for a pointer of Git LFS.
  OpenFile.with(path, (file) => {
    assert.throws(() => file.read(new Uint8Array(900), 50), {
      code: "invalid_checkpoint",
      message: `${path}: ended at byte 600 while it was read`,
    });
    file.close();
  });
});

for (const [what, cutAt, length] of [
  ["the header", 1, 100],
  ["the weights", 2, 4096 + 100],
] as const) {
  test(`${what} of weights in the cache`, async (context) => {
    const folder = join(directory.path, what);
    const problems: string[] = [];
    const cache = new WeightCache({ directory: folder, maxBytes: 10_000 }, (problem) =>
      problems.push(problem),
    );
    const entry = { key: "a", bytes: 1000 };
    await cache.write(entry, new Uint8Array(1000).fill(7), "sum");
    const only = (): string => join(folder, fs.readdirSync(folder)[0] as string);
    cutBeforeRead(context, cutAt, only, length);
    const into = new Uint8Array(1000);
    const isRead = cache.read(entry, into, () => "sum");
    assert.equal(isRead, false);
    assert.ok(into.every((byte) => byte === 0));
    assert.equal(problems.length, 1);
    assert.match(problems[0] as string, /it ended while it was read/);
    assert.deepEqual(fs.readdirSync(folder), []);
  });
}
