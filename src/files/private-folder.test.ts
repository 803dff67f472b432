import assert from "node:assert/strict";
import fs, {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { inspectPrivateFolder, isOwnFile, makePrivateFolder, ownUser } from "./private-folder.ts";

function aFolder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Folders and links as they are, except that some belong to another user. */
function ownedByAnother(context: TestContext, ...paths: readonly string[]): void {
  const other = (ownUser() ?? 0) + 4711;
  const original = lstatSync;
  const mock = context.mock.method(fs, "lstatSync", (path: string) => {
    const stats = original(path) as Stats;
    if (paths.includes(path)) stats.uid = other;
    return stats;
  });
  syncBuiltinESMExports();
  context.after(() => {
    mock.mock.restore();
    syncBuiltinESMExports();
  });
}

/** It is fit for nothing secret, and stays as it is. */
function refused(path: string, reason: RegExp, isUnsafe = true): void {
  for (const unfit of [inspectPrivateFolder(path), makePrivateFolder(path)]) {
    assert.match(unfit?.reason ?? "", reason);
    assert.equal(unfit?.isUnsafe, isUnsafe);
    assert.notEqual(unfit?.remedy, "");
  }
}

test("a folder is made for its owner alone, with those above it, and found again", (context) => {
  const path = join(aFolder(context), "a", "b");
  assert.equal(makePrivateFolder(path), undefined);
  for (const each of [path, join(path, "..")]) assert.equal(lstatSync(each).mode & 0o777, 0o700);
  assert.equal(makePrivateFolder(path), undefined);
  assert.equal(inspectPrivateFolder(path), undefined);
});

test("any right of the group or of others is one too many", (context) => {
  const path = aFolder(context);
  for (const bit of [0o040, 0o020, 0o010, 0o004, 0o002, 0o001]) {
    chmodSync(path, 0o700 | bit);
    refused(path, /is open to others \(mode 07\d\d\)$/);
    assert.equal(lstatSync(path).mode & 0o777, 0o700 | bit, "it is not mended");
  }
  chmodSync(path, 0o700);
  assert.equal(inspectPrivateFolder(path), undefined);
});

test("a link is none, though it leads to one; nor is a file, or what is not there", (context) => {
  const path = aFolder(context);
  const real = join(path, "real");
  mkdirSync(real, { mode: 0o700 });
  symlinkSync(real, join(path, "link"));
  refused(join(path, "link"), /link is a symbolic link$/);
  symlinkSync(join(path, "nowhere"), join(path, "dangling"));
  assert.match(inspectPrivateFolder(join(path, "dangling"))?.reason ?? "", /dangling is a symbolic link$/);
  assert.ok(makePrivateFolder(join(path, "dangling")));
  writeFileSync(join(path, "file"), "");
  assert.match(inspectPrivateFolder(join(path, "file"))?.reason ?? "", /file is not a folder$/);
  assert.match(makePrivateFolder(join(path, "file"))?.reason ?? "", /file cannot be made \(EEXIST\)$/);
  assert.match(makePrivateFolder(join(path, "file", "below"))?.reason ?? "", /cannot be made \(ENOTDIR\)$/);
  assert.match(inspectPrivateFolder(join(path, "none"))?.reason ?? "", /cannot be looked at \(ENOENT\)$/);
  assert.match(inspectPrivateFolder("relative")?.reason ?? "", /^relative is no absolute path$/);
});

test("another user's folder is refused, whatever its mode", (context) => {
  const path = aFolder(context);
  ownedByAnother(context, path);
  refused(path, /belongs to user \d+, and this is user \d+$/);
});

test("root's folder and root's file are not ours either, though root may own what is above", (context) => {
  const path = aFolder(context);
  const file = join(path, "file");
  writeFileSync(file, "", { mode: 0o600 });
  const own = 4711;
  let owner = own;
  const original = lstatSync;
  context.mock.method(fs, "lstatSync", (each: string) =>
    Object.assign(original(each) as Stats, { uid: each === path ? owner : 0 }),
  );
  context.mock.method(process as { geteuid(): number }, "geteuid", () => own);
  syncBuiltinESMExports();
  context.after(() => {
    context.mock.restoreAll();
    syncBuiltinESMExports();
  });
  assert.equal(inspectPrivateFolder(path), undefined);
  owner = 0;
  refused(path, /belongs to user 0, and this is user 4711$/);
  assert.equal(isOwnFile(Object.assign(original(file), { uid: own })), true);
  assert.equal(isOwnFile(Object.assign(original(file), { uid: 0 })), false);
});

test("nobody else may write in a folder above it, unless that is sticky", (context) => {
  const above = join(aFolder(context), "above");
  const path = join(above, "between", "folder");
  assert.equal(makePrivateFolder(path), undefined);
  for (const mode of [0o770, 0o720, 0o702, 0o777]) {
    chmodSync(above, mode);
    refused(path, /above, above it, may be written by others \(mode 07\d\d\)$/);
  }
  chmodSync(above, 0o1777);
  assert.equal(inspectPrivateFolder(path), undefined);
  chmodSync(above, 0o755);
  assert.equal(inspectPrivateFolder(path), undefined);
});

test("nor may one above it belong to somebody other than root", (context) => {
  const above = aFolder(context);
  const path = join(above, "folder");
  assert.equal(makePrivateFolder(path), undefined);
  ownedByAnother(context, above);
  refused(path, /above it, belongs to user \d+$/);
});

test("a link on the way is followed, if it and all on its way are in good hands", (context) => {
  const path = aFolder(context);
  const real = join(path, "real");
  const target = join(path, "open", "target");
  for (const each of [real, target]) mkdirSync(join(each, "folder"), { recursive: true, mode: 0o700 });
  symlinkSync("./real", join(path, "link"));
  assert.equal(inspectPrivateFolder(join(path, "link", "folder")), undefined);
  symlinkSync("../real", join(path, "open", "up"));
  assert.equal(inspectPrivateFolder(join(path, "open", "up", "folder")), undefined);
  // The link is ours, and where it leads others may write.
  symlinkSync(target, join(path, "away"));
  assert.equal(inspectPrivateFolder(join(path, "away", "folder")), undefined);
  chmodSync(join(path, "open"), 0o777);
  refused(join(path, "away", "folder"), /open, above it, may be written by others/);
  // A link through that folder, to one in good hands.
  symlinkSync(join(path, "open", "up"), join(path, "through"));
  refused(join(path, "through", "folder"), /open, above it, may be written by others/);
  chmodSync(join(path, "open"), 0o700);
  ownedByAnother(context, join(path, "link"));
  refused(join(path, "link", "folder"), /link is a link of user \d+$/);
});

test("links that lead round in a circle end", (context) => {
  const path = aFolder(context);
  symlinkSync("b", join(path, "a"));
  symlinkSync("a", join(path, "b"));
  assert.ok(inspectPrivateFolder(join(path, "a", "folder")));
});

test("a file is ours when only we can have written it", (context) => {
  const path = join(aFolder(context), "file");
  writeFileSync(path, "", { mode: 0o600 });
  const owned = (mode: number, uid = ownUser()) => {
    chmodSync(path, mode);
    const stats = lstatSync(path);
    return isOwnFile(Object.assign(stats, { uid }));
  };
  for (const mode of [0o600, 0o644, 0o444]) assert.equal(owned(mode), true, mode.toString(8));
  for (const mode of [0o620, 0o602, 0o666]) assert.equal(owned(mode), false, mode.toString(8));
  assert.equal(owned(0o600, (ownUser() ?? 0) + 1), false);
  assert.equal(isOwnFile(lstatSync(join(path, ".."))), false);
});
